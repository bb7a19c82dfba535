// Activation functions under the names that transformers and `adapters` use for them.
#pragma once

#include <string_view>

#include <ATen/core/Tensor.h>

#include "common/result.hpp"

namespace fathom::trainer {

// gelu is the exact erf form, gelu_tanh what transformers calls gelu_new; leaky_relu has slope 0.01.
enum class Activation {
  identity,
  relu,
  gelu,
  gelu_tanh,
  quick_gelu,
  silu,
  tanh,
  sigmoid,
  leaky_relu,
  relu6,
  relu_squared,
  mish
};

// "relu", "gelu", "gelu_new", "swish", "leakyrelu", …; upper and lower case are equal. unsupported for other names.
Result<Activation> parse_activation(std::string_view name);

at::Tensor activate(Activation activation, const at::Tensor& x);

}  // namespace fathom::trainer
