#include "trainer/adapters/strict.hpp"

#include <fmt/format.h>

namespace fathom::trainer {
namespace {

// "2 missing tensors: "a", "b""; at most three by name.
std::string listed(const char* what, const std::vector<std::string>& keys) {
  constexpr std::size_t kNamed = 3;
  std::string text = fmt::format("{} {} tensor{}: ", keys.size(), what, keys.size() == 1 ? "" : "s");
  for (std::size_t i = 0; i < keys.size() && i < kNamed; ++i) text += (i ? ", \"" : "\"") + keys[i] + "\"";
  return text + (keys.size() > kNamed ? ", …" : "");
}

}  // namespace

at::Tensor StrictReader::take(const std::string& key, const std::vector<std::int64_t>& shape) {
  taken_.insert(key);
  const auto found = tensors_.find(key);
  if (found == tensors_.end()) missing_.push_back(key);
  if (!problem_.empty() || found == tensors_.end()) return {};
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
  std::vector<std::string> extra;
  for (const auto& [key, tensor] : tensors_) {
    if (!taken_.contains(key)) extra.push_back(key);
  }
  std::string text = missing_.empty() ? "" : listed("missing", missing_);
  // A file of another adapter lacks everything and has everything else: both lists tell what it is.
  if (!extra.empty()) text += (text.empty() ? "" : "; ") + listed("unexpected", extra);
  if (!problem_.empty() && missing_.empty()) text = problem_;
  if (text.empty()) return success();
  return Error{Errc::corrupt, text};
}

}  // namespace fathom::trainer
