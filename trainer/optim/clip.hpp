// Gradient clipping by the global norm over all trained tensors of a job (torch.nn.utils.clip_grad_norm_).
#pragma once

#include <vector>

#include "trainer/optim/parameter.hpp"

namespace fathom::trainer {

// The 2-norm over all defined gradients; 0 without any. A NaN or Inf norm is returned as it is.
double gradient_norm(const std::vector<Parameter>& parameters);

// What all gradients of this norm are multiplied by, min(1, limit / (norm + 1e-6)): the optimizer does it as it reads
// them. limit <= 0: 1.
double clip_factor(double norm, double limit);

}  // namespace fathom::trainer
