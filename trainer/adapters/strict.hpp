// Taking named tensors out of a file without silence: what is asked for must be there, what is there must be asked for.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "trainer/checkpoint/tensors.hpp"

namespace fathom::trainer {

// Used for one file: take() each tensor, then finish(). The first problem is kept, later calls return undefined
// tensors, so a reader can be written as a plain list. Lives on the reader's stack; refers to `tensors`.
class StrictReader {
 public:
  explicit StrictReader(const NamedTensors& tensors) : tensors_(tensors) {}

  // A float32 clone (float64 stays) of the tensor, which must have exactly `shape`.
  at::Tensor take(const std::string& key, const std::vector<std::int64_t>& shape);
  // The key may be there; it is not an error if it is.
  void allow(const std::string& key) { taken_.insert(key); }
  [[nodiscard]] bool has(const std::string& key) const { return tensors_.contains(key); }
  void fail(const std::string& what);

  // Keys that are missing and keys that nobody asked for, all in one error that names the first of each; else the
  // first other problem.
  [[nodiscard]] Status finish() const;

 private:
  const NamedTensors& tensors_;
  std::set<std::string> taken_;
  std::vector<std::string> missing_;
  std::string problem_;
};

}  // namespace fathom::trainer
