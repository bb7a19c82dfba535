// AdamW (Loshchilov & Hutter 2019) of one job, as torch.optim.AdamW computes it: decoupled decay, bias correction, one
// step count per tensor. A tensor whose gradient is undefined is skipped entirely: no moment decay, no step count, no
// weight decay. Thread: one owner, used on the compute thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "trainer/optim/flat_adamw.hpp"

namespace fathom::trainer {

class AdamW {
 public:
  AdamW(std::vector<Parameter> parameters, AdamWOptions options);

  // One update with learning rate `lr` from `clip` times the gradients, which are not changed and not cleared.
  void step(double lr, double clip = 1);

  [[nodiscard]] const std::vector<Parameter>& parameters() const { return parameters_; }
  // Steps in which parameter `index` had a gradient.
  [[nodiscard]] std::uint64_t updates(std::size_t index) const;

  // Moments and step counts by name: "NAME/exp_avg", "NAME/exp_avg_sq", "NAME/step". Handles to the live tensors.
  [[nodiscard]] std::vector<std::pair<std::string, at::Tensor>> state() const;

  // Copies a state() of an optimizer over the same parameters back. Throws std::runtime_error naming the entry when one
  // is missing or has another shape; nothing is changed then.
  void load_state(const std::vector<std::pair<std::string, at::Tensor>>& saved);

 private:
  std::vector<Parameter> parameters_;
  FlatAdamW flat_;
};

}  // namespace fathom::trainer
