// Adds up the gradients of a gang's ranks: one flat buffer, one sum a step. Each rank brings the gradients of its own
// rows, weighted by their share of the step's rows, so that the sum is the mean over all rows that one rank would have.
// Thread: compute thread.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "trainer/optim/parameter.hpp"
#include "trainer/parallel/gang.hpp"

namespace fathom::trainer {

class GradientSum {
 public:
  // `parameters` and `gang` must outlive it. Memory: the gradients once more.
  GradientSum(const std::vector<Parameter>& parameters, Gang& gang);

  // After the call the gradient of each parameter is the sum over the ranks; it is undefined where no rank has one. The
  // gradients are views of the buffer, good until the next call. Returns the sum of the ranks' `loss`. In a gang of one
  // nothing is touched.
  double operator()(double loss);

 private:
  const std::vector<Parameter>& parameters_;
  Gang& gang_;
  at::Tensor flat_;  // loss, then for each parameter whether it has a gradient, then the gradients
};

}  // namespace fathom::trainer
