#include "trainer/optim/parameter.hpp"

#include <algorithm>

namespace fathom::trainer {

bool decays(const std::string& name, const at::Tensor& value) {
  if (name == "bias" || name.ends_with(".bias")) return false;
  // MPNet's table of relative positions is a bias too, by name and by what it does.
  if (name.ends_with("relative_attention_bias.weight")) return false;
  return !(name.ends_with("weight") && value.dim() == 1);
}

std::vector<Parameter> parameters_of(const std::vector<std::pair<std::string, at::Tensor>>& named) {
  std::vector<Parameter> parameters;
  parameters.reserve(named.size());
  for (const auto& [name, value] : named) parameters.push_back({name, value, decays(name, value)});
  return parameters;
}

std::vector<Parameter> each_once(const std::vector<Parameter>& parameters) {
  std::vector<Parameter> out;
  for (const auto& parameter : parameters) {
    const auto same = [&](const Parameter& known) { return known.value.is_same(parameter.value); };
    if (std::none_of(out.begin(), out.end(), same)) out.push_back(parameter);
  }
  return out;
}

void clear_gradients(const std::vector<Parameter>& parameters) {
  for (const auto& parameter : parameters) parameter.value.mutable_grad().reset();
}

}  // namespace fathom::trainer
