#include "trainer/optim/adamw.hpp"

#include <map>
#include <stdexcept>

#include <ATen/core/grad_mode.h>

namespace fathom::trainer {

AdamW::AdamW(std::vector<Parameter> parameters, AdamWOptions options) : parameters_(std::move(parameters)) {
  flat_.add(parameters_, options);
}

void AdamW::step(double lr, double clip) {
  const JobStep step{0, lr, clip};
  flat_.step({&step, 1});
}

std::uint64_t AdamW::updates(std::size_t index) const {
  return static_cast<std::uint64_t>(flat_.updates(index).item<double>());
}

std::vector<std::pair<std::string, at::Tensor>> AdamW::state() const {
  std::vector<std::pair<std::string, at::Tensor>> entries;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    entries.emplace_back(parameters_[i].name + "/exp_avg", flat_.mean(i));
    entries.emplace_back(parameters_[i].name + "/exp_avg_sq", flat_.square(i));
    entries.emplace_back(parameters_[i].name + "/step", flat_.updates(i));
  }
  return entries;
}

void AdamW::load_state(const std::vector<std::pair<std::string, at::Tensor>>& saved) {
  const std::map<std::string, at::Tensor> by_name(saved.begin(), saved.end());
  const auto own = state();
  // Checked before anything is copied: a half-loaded optimizer would train on, silently wrong.
  for (const auto& [name, tensor] : own) {
    const auto found = by_name.find(name);
    if (found == by_name.end()) throw std::runtime_error("optimizer state lacks '" + name + "'");
    if (found->second.sizes() != tensor.sizes())
      throw std::runtime_error("optimizer state '" + name + "' has another shape than the model's tensor");
  }
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : own) tensor.copy_(by_name.at(name));
}

}  // namespace fathom::trainer
