#include "trainer/optim/clip.hpp"

#include <algorithm>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>

namespace fathom::trainer {

double clip_gradients(const std::vector<Parameter>& parameters, double limit) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients, norms;
  for (const auto& parameter : parameters) {
    const auto& gradient = parameter.value.grad();
    if (!gradient.defined()) continue;
    gradients.push_back(gradient);
    norms.push_back(at::linalg_vector_norm(gradient));
  }
  if (gradients.empty()) return 0.0;
  // The norm of the norms, in fp32 like torch: the order of summation is part of the reference.
  const auto norm = at::linalg_vector_norm(at::stack(norms)).item<float>();
  if (limit > 0) {
    const float scale = std::min(1.0F, static_cast<float>(limit) / (norm + 1e-6F));
    for (auto& gradient : gradients) gradient.mul_(scale);
  }
  return norm;
}

}  // namespace fathom::trainer
