// Precision tf32 of a pass. The switch belongs to the process and jobs take turns in it: a pass turns it on for itself
// and leaves it as it was, so that a neighbour in fp32 has every bit it has alone. Thread: the one that runs passes.
#pragma once

#include <string>

#include "trainer/engine/errors.hpp"
#include "trainer/model/precision.hpp"

namespace fathom::trainer {

// While it lives, products of float32 may run on tensor cores: precision tf32; else nothing changes.
class TensorCores {
 public:
  explicit TensorCores(Precision precision);
  ~TensorCores();
  TensorCores(const TensorCores&) = delete;
  TensorCores& operator=(const TensorCores&) = delete;

 private:
  const bool before_;
};

// JobError config where a job asks for a precision that the device ("cpu", "cuda:N") does not have: tf32 on a CPU, or
// on a GPU of compute capability below 8.0, whose products would be of float32 and of another identity.
void require_precision(Precision precision, const std::string& device);

}  // namespace fathom::trainer
