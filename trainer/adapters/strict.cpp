#include "trainer/adapters/strict.hpp"

#include <fmt/format.h>

namespace fathom::trainer {

at::Tensor StrictReader::take(const std::string& key, const std::vector<std::int64_t>& shape) {
  taken_.insert(key);
  if (!problem_.empty()) return {};
  const auto found = tensors_.find(key);
  if (found == tensors_.end()) {
    fail(fmt::format("tensor \"{}\" is missing", key));
    return {};
  }
  const at::Tensor& tensor = found->second;
  if (tensor.sizes() != at::IntArrayRef(shape)) {
    fail(fmt::format("tensor \"{}\" has shape [{}], expected [{}]", key, fmt::join(tensor.sizes(), ", "),
                     fmt::join(shape, ", ")));
    return {};
  }
  if (!tensor.is_floating_point()) {
    fail(fmt::format("tensor \"{}\" holds no floating-point numbers", key));
    return {};
  }
  // A clone: the file's mapping can go, and training may write to it.
  return tensor.detach().to(tensor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat).clone();
}

void StrictReader::fail(const std::string& what) {
  if (problem_.empty()) problem_ = what;
}

Status StrictReader::finish() const {
  if (!problem_.empty()) return Error{Errc::corrupt, problem_};
  std::string extra;
  int count = 0;
  for (const auto& [key, tensor] : tensors_) {
    if (taken_.contains(key)) continue;
    if (++count <= 3) extra += (extra.empty() ? "\"" : ", \"") + key + "\"";
  }
  if (count == 0) return success();
  return Error{Errc::corrupt, fmt::format("{} unexpected tensor{}: {}{}", count, count == 1 ? "" : "s", extra,
                                          count > 3 ? ", …" : "")};
}

}  // namespace fathom::trainer
