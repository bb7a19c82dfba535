// Gradient clipping by the global norm over all trained tensors of a job (torch.nn.utils.clip_grad_norm_).
#pragma once

#include <vector>

#include "trainer/optim/parameter.hpp"

namespace fathom::trainer {

// The 2-norm over all defined gradients, before clipping. Every gradient is then multiplied in place by
// min(1, limit / (norm + 1e-6)); limit <= 0 leaves them alone. A NaN or Inf norm is returned as it is.
double clip_gradients(const std::vector<Parameter>& parameters, double limit);

}  // namespace fathom::trainer
