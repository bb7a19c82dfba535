#include "trainer/check/compare.hpp"

#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "trainer/check/fields.hpp"
#include "trainer/checkpoint/safetensors.hpp"

namespace fathom::trainer::check {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

double difference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return kInfinity;
  const at::Tensor x = a.detach().to(at::kDouble).contiguous(), y = b.detach().to(at::kDouble).contiguous();
  const auto* left = x.const_data_ptr<double>();
  const auto* right = y.const_data_ptr<double>();
  double worst = 0;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const double gap = std::abs(left[i] - right[i]);
    // A NaN compares false with everything; max() would lose it.
    if (!(gap <= worst)) worst = std::isfinite(gap) ? gap : kInfinity;
  }
  return worst;
}

void Comparison::add(const std::string& at, double error, double tolerance) {
  const double share = error == 0 ? 0 : error / tolerance;
  if (!(share > worst_share_)) return;
  worst_share_ = share;
  worst_.at = at;
  worst_.error = error;
  worst_.tolerance = tolerance;
}

void Comparison::number(const std::string& at, double got, double expected, double tolerance) {
  const double gap = std::abs(got - expected);
  add(at, std::isfinite(gap) ? gap : kInfinity, tolerance);
}

void Comparison::tensor(const std::string& at, const at::Tensor& got, const at::Tensor& expected, double tolerance) {
  require(got.sizes() == expected.sizes(),
          fmt::format("{} has shape [{}], expected [{}]", at, fmt::join(got.sizes(), ", "),
                      fmt::join(expected.sizes(), ", ")));
  add(at, difference(got, expected), tolerance);
}

void Comparison::require(bool so, const std::string& message) {
  if (!so && problem_.empty()) problem_ = message;
}

Outcome Comparison::outcome() const {
  Outcome out = worst_;
  out.message = problem_;
  if (out.message.empty() && worst_share_ < 0) out.message = "nothing was compared";
  out.status = out.message.empty() && worst_.error <= worst_.tolerance ? Status::passed : Status::failed;
  return out;
}

Expected::Expected(const std::filesystem::path& file) : name_(file.filename().string()) {
  tensors_ = value_of(read_safetensors(file)).tensors;
  if (tensors_.empty()) throw CheckError(file.string() + ": it holds no tensors to compare with");
  for (const auto& [key, tensor] : tensors_) {
    if (!tensor.is_floating_point()) throw CheckError(file.string() + ": " + key + " holds no floating-point numbers");
  }
}

void Expected::compare(Comparison& comparison, const std::string& key, const at::Tensor& got, double tolerance) {
  if (has(key)) comparison.tensor(key, got, take(key), tolerance);
}

const at::Tensor& Expected::take(const std::string& key) {
  const auto found = tensors_.find(key);
  if (found == tensors_.end()) throw CheckError(name_ + ": tensor \"" + key + "\" is missing");
  seen_.insert(key);
  return found->second;
}

void Expected::finish(Comparison& comparison) const {
  for (const auto& [key, tensor] : tensors_)
    comparison.require(seen_.contains(key), name_ + ": nothing here computes \"" + key + "\"");
}

}  // namespace fathom::trainer::check
