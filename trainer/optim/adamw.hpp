// AdamW (Loshchilov & Hutter 2019) as torch.optim.AdamW computes it: decoupled decay, bias correction, one step count
// per tensor. A tensor whose gradient is undefined is skipped entirely: no moment decay, no step count, no weight
// decay. Thread: one owner, used on the compute thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "trainer/optim/parameter.hpp"

namespace fathom::trainer {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;  // only where Parameter::decay
};

class AdamW {
 public:
  AdamW(std::vector<Parameter> parameters, AdamWOptions options);

  // One update with learning rate `lr`. Gradients are read, not changed and not cleared.
  void step(double lr);

  [[nodiscard]] const std::vector<Parameter>& parameters() const { return parameters_; }
  // Steps in which parameter `index` had a gradient.
  [[nodiscard]] std::uint64_t updates(std::size_t index) const;

  // Moments and step counts by name: "NAME/exp_avg", "NAME/exp_avg_sq", "NAME/step". Handles to the live tensors.
  [[nodiscard]] std::vector<std::pair<std::string, at::Tensor>> state() const;

  // Copies a state() of an optimizer over the same parameters back. Throws std::runtime_error naming the entry when one
  // is missing or has another shape; nothing is changed then.
  void load_state(const std::vector<std::pair<std::string, at::Tensor>>& saved);

 private:
  // Tensors of one decay setting, updated by one fused call.
  struct Group {
    std::vector<std::size_t> members;  // indices into parameters_
    double weight_decay = 0.0;
  };
  void step_group(const Group& group, double lr);

  std::vector<Parameter> parameters_;
  AdamWOptions options_;
  std::vector<at::Tensor> exp_avg_;     // first moments, zero at the start
  std::vector<at::Tensor> exp_avg_sq_;  // second moments
  std::vector<at::Tensor> steps_;       // fp32 scalars: updates each tensor has had
  std::vector<Group> groups_;
};

}  // namespace fathom::trainer
