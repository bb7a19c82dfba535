#include "trainer/optim/parameter.hpp"

namespace fathom::trainer {

bool decays(const std::string& name, const at::Tensor& value) {
  if (name == "bias" || name.ends_with(".bias")) return false;
  return !(name.ends_with("weight") && value.dim() == 1);
}

std::vector<Parameter> parameters_of(const std::vector<std::pair<std::string, at::Tensor>>& named) {
  std::vector<Parameter> parameters;
  parameters.reserve(named.size());
  for (const auto& [name, value] : named) parameters.push_back({name, value, decays(name, value)});
  return parameters;
}

void clear_gradients(const std::vector<Parameter>& parameters) {
  for (const auto& parameter : parameters) parameter.value.mutable_grad().reset();
}

}  // namespace fathom::trainer
