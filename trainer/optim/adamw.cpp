#include "trainer/optim/adamw.hpp"

#include <map>
#include <stdexcept>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

namespace fathom::trainer {

AdamW::AdamW(std::vector<Parameter> parameters, AdamWOptions options)
    : parameters_(std::move(parameters)), options_(options) {
  Group decayed{{}, options_.weight_decay};
  Group plain{{}, 0.0};
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const auto value = parameters_[i].value.detach();
    exp_avg_.push_back(at::zeros_like(value));
    exp_avg_sq_.push_back(at::zeros_like(value));
    steps_.push_back(at::zeros({}, value.options()));
    // One fused call has one decay, hence the two groups.
    (parameters_[i].decay ? decayed : plain).members.push_back(i);
  }
  groups_ = {std::move(decayed), std::move(plain)};
}

void AdamW::step(double lr) {
  const at::NoGradGuard no_grad;
  for (const auto& group : groups_) step_group(group, lr);
}

void AdamW::step_group(const Group& group, double lr) {
  std::vector<at::Tensor> values, gradients, first, second, steps;
  for (const auto i : group.members) {
    const auto& gradient = parameters_[i].value.grad();
    // Not reached by this step's pass: as if the tensor did not exist.
    if (!gradient.defined()) continue;
    // The fused kernel takes the count of the update it is making, so it is raised first.
    steps_[i].add_(1);
    values.push_back(parameters_[i].value);
    gradients.push_back(gradient);
    first.push_back(exp_avg_[i]);
    second.push_back(exp_avg_sq_[i]);
    steps.push_back(steps_[i]);
  }
  if (values.empty()) return;
  at::_fused_adamw_(values, gradients, first, second, {}, steps, lr, options_.beta1, options_.beta2, group.weight_decay,
                    options_.eps, /*amsgrad=*/false, /*maximize=*/false);
}

std::uint64_t AdamW::updates(std::size_t index) const {
  return static_cast<std::uint64_t>(steps_.at(index).item<double>());
}

std::vector<std::pair<std::string, at::Tensor>> AdamW::state() const {
  std::vector<std::pair<std::string, at::Tensor>> entries;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    entries.emplace_back(parameters_[i].name + "/exp_avg", exp_avg_[i]);
    entries.emplace_back(parameters_[i].name + "/exp_avg_sq", exp_avg_sq_[i]);
    entries.emplace_back(parameters_[i].name + "/step", steps_[i]);
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
