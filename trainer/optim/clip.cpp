#include "trainer/optim/clip.hpp"

#include <algorithm>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>

namespace fathom::trainer {

double gradient_norm(const std::vector<Parameter>& parameters) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> norms;
  for (const auto& parameter : parameters) {
    const auto& gradient = parameter.value.grad();
    if (gradient.defined()) norms.push_back(at::linalg_vector_norm(gradient));
  }
  if (norms.empty()) return 0.0;
  // The norm of the norms, in fp32 like torch: the order of summation is part of the reference.
  return at::linalg_vector_norm(at::stack(norms)).item<float>();
}

double clip_factor(double norm, double limit) {
  if (limit <= 0) return 1;
  return std::min(1.0F, static_cast<float>(limit) / (static_cast<float>(norm) + 1e-6F));
}

}  // namespace fathom::trainer
