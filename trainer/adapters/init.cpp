#include "trainer/adapters/init.hpp"

#include <cmath>

#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>

namespace fathom::trainer {
namespace {

// kaiming_uniform_(a = sqrt(5)): gain sqrt(1/3), so the bound is 1/sqrt(fan_in). Computed in torch's steps, because the
// last bit of the bound shows in every draw.
double kaiming_bound(std::int64_t fan_in) {
  const double gain = std::sqrt(2.0 / (1 + std::sqrt(5.0) * std::sqrt(5.0)));
  return std::sqrt(3.0) * (gain / std::sqrt(static_cast<double>(fan_in)));
}

void uniform(at::Tensor& tensor, double bound, at::Generator& generator) { tensor.uniform_(-bound, bound, generator); }

double normal_cdf(double x) { return (1.0 + std::erf(x / std::sqrt(2.0))) / 2.0; }

}  // namespace

Linear default_linear(std::int64_t in, std::int64_t out, bool bias, at::Generator& generator) {
  const c10::NoGradGuard no_grad;
  Linear linear;
  linear.weight = at::empty({out, in}, at::kFloat);
  uniform(linear.weight, kaiming_bound(in), generator);
  if (bias) {
    linear.bias = at::empty({out}, at::kFloat);
    uniform(linear.bias, 1 / std::sqrt(static_cast<double>(in)), generator);
  }
  return linear;
}

void redraw_normal(Linear& linear, double std, at::Generator& generator) {
  const c10::NoGradGuard no_grad;
  linear.weight.normal_(0.0, std, generator);
  if (linear.bias.defined()) linear.bias.zero_();
}

void redraw_kaiming(Linear& linear, at::Generator& generator) {
  const c10::NoGradGuard no_grad;
  uniform(linear.weight, kaiming_bound(linear.weight.size(1)), generator);
  linear.bias.zero_();
}

void redraw_truncated(Linear& linear, at::Generator& generator) {
  const c10::NoGradGuard no_grad;
  constexpr double kStd = 1e-2, kCut = 2e-2;
  // Uniform between the cumulative probabilities of the cuts, through the inverse distribution (nn.init.trunc_normal_).
  const double low = normal_cdf(-kCut / kStd), high = normal_cdf(kCut / kStd);
  linear.weight.uniform_(2 * low - 1, 2 * high - 1, generator);
  linear.weight.erfinv_().mul_(kStd * std::sqrt(2.0)).clamp_(-kCut, kCut);
  linear.bias.zero_();
}

}  // namespace fathom::trainer
