#include "trainer/model/activation.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <string>

#include <ATen/TensorOperators.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/mish.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/relu6.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tanh.h>

namespace fathom::trainer {
namespace {

const std::map<std::string, Activation, std::less<>>& names() {
  // gelu_fast and gelu_pytorch_tanh are the same function as gelu_new, computed in another order.
  static const std::map<std::string, Activation, std::less<>> table = {
      {"linear", Activation::identity},
      {"relu", Activation::relu},
      {"gelu", Activation::gelu},
      {"gelu_python", Activation::gelu},
      {"gelu_new", Activation::gelu_tanh},
      {"gelu_pytorch_tanh", Activation::gelu_tanh},
      {"gelu_fast", Activation::gelu_tanh},
      {"quick_gelu", Activation::quick_gelu},
      {"silu", Activation::silu},
      {"swish", Activation::silu},
      {"tanh", Activation::tanh},
      {"sigmoid", Activation::sigmoid},
      {"leakyrelu", Activation::leaky_relu},
      {"leaky_relu", Activation::leaky_relu},
      {"relu6", Activation::relu6},
      {"relu2", Activation::relu_squared},
      {"mish", Activation::mish},
  };
  return table;
}

}  // namespace

Result<Activation> parse_activation(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (auto found = names().find(lower); found != names().end()) return found->second;
  std::string known;
  for (const auto& [known_name, activation] : names()) known += (known.empty() ? "" : ", ") + known_name;
  return Error{Errc::unsupported, "unknown activation function \"" + std::string(name) + "\"; known are " + known};
}

at::Tensor activate(Activation activation, const at::Tensor& x) {
  switch (activation) {
    case Activation::identity:
      return x;
    case Activation::relu:
      return at::relu(x);
    case Activation::gelu:
      return at::gelu(x);
    case Activation::gelu_tanh:
      return at::gelu(x, "tanh");
    case Activation::quick_gelu:
      return x * at::sigmoid(1.702 * x);
    case Activation::silu:
      return at::silu(x);
    case Activation::tanh:
      return at::tanh(x);
    case Activation::sigmoid:
      return at::sigmoid(x);
    case Activation::leaky_relu:
      return at::leaky_relu(x, 0.01);
    case Activation::relu6:
      return at::relu6(x);
    case Activation::relu_squared: {
      const at::Tensor positive = at::relu(x);
      return positive * positive;
    }
    case Activation::mish:
      return at::mish(x);
  }
  return x;
}

}  // namespace fathom::trainer
