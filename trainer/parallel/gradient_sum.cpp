#include "trainer/parallel/gradient_sum.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

namespace fathom::trainer {

GradientSum::GradientSum(const std::vector<Parameter>& parameters, Gang& gang) : parameters_(parameters), gang_(gang) {}

double GradientSum::operator()(double loss) {
  if (gang_.size() == 1 || parameters_.empty()) return loss;
  const at::NoGradGuard no_grad;
  const auto count = static_cast<std::int64_t>(parameters_.size());
  if (!flat_.defined()) {
    std::int64_t total = 1 + count;
    for (const auto& parameter : parameters_) total += parameter.value.numel();
    flat_ = at::empty({total}, parameters_.front().value.options().requires_grad(false));
  }
  // The head is made on the host: one copy instead of one for each flag.
  at::Tensor head = at::empty({1 + count}, at::kDouble);
  auto* numbers = head.mutable_data_ptr<double>();
  numbers[0] = loss;
  std::int64_t at = 1 + count;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto& value = parameters_[static_cast<std::size_t>(i)].value;
    const bool reached = value.grad().defined();
    numbers[1 + i] = reached ? 1.0 : 0.0;
    auto place = flat_.narrow(0, at, value.numel()).view(value.sizes());
    // A rank without rows, or without this layer, adds nothing.
    reached ? place.copy_(value.grad()) : place.zero_();
    at += value.numel();
  }
  flat_.narrow(0, 0, 1 + count).copy_(head);
  gang_.sum(flat_);
  head.copy_(flat_.narrow(0, 0, 1 + count));
  at = 1 + count;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto& value = parameters_[static_cast<std::size_t>(i)].value;
    if (numbers[1 + i] > 0)
      value.mutable_grad() = flat_.narrow(0, at, value.numel()).view(value.sizes());
    else
      value.mutable_grad().reset();
    at += value.numel();
  }
  return numbers[0];
}

}  // namespace fathom::trainer
