#include "trainer/engine/training.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "trainer/optim/clip.hpp"

namespace fathom::trainer {

Training::Training(const Network& network, const TrainingOptions& options, Gang& gang, Engine& engine)
    : network_(network),
      options_(options),
      optimizer_(network.trained, options.adamw),
      gang_(gang),
      engine_(engine),
      sum_gradients_(network.trained, gang) {}

StepReport Training::step(std::uint64_t step, const std::vector<LabelledBatch>& passes, std::uint32_t depth) {
  StepReport report;
  report.lr = options_.schedule.at(step);
  DropoutSource source{options_.seed, step, 0};
  ForwardOptions options;
  options.drop_depth = depth;
  options.recipe = options_.recipe;
  options.base_trainable = network_.whole;
  options.dropout = options_.dropout ? &source : nullptr;
  report.loss = sum_gradients_(accumulate(passes, options, source));
  // Lagged, the step before left its gradient behind, taken from the weights that it had just written, which are these:
  // the difference is that the first step has none.
  if (!options_.lagged_regularizer || step > 0) report.reg_loss = regularise(depth);
  if (options_.zero_gradients) zero_missing_gradients();
  if (options_.on_gradients) options_.on_gradients();
  report.grad_norm = gradient_norm(network_.trained);
  if (std::isfinite(report.loss) && std::isfinite(report.grad_norm))
    optimizer_.step(report.lr, clip_factor(report.grad_norm, options_.clip));
  // Undefined rather than zero: see AdamW.
  clear_gradients(network_.trained);
  if (options_.lagged_regularizer && network_.fusion) {
    const at::NoGradGuard no_grad;
    const auto penalty = fusion_regularization(*network_.fusion);
    if (penalty.defined()) report.reg_loss = penalty.item<double>();
  }
  return report;
}

double Training::accumulate(const std::vector<LabelledBatch>& passes, ForwardOptions& options, DropoutSource& source) {
  std::uint64_t rows = 0, first_row = 0;
  for (const auto& pass : passes) rows += pass.rows;
  double loss = 0;
  const auto rank = static_cast<std::uint64_t>(gang_.rank()), ranks = static_cast<std::uint64_t>(gang_.size());
  for (const auto& pass : passes) {
    const auto first = pass.rows * rank / ranks, last = pass.rows * (rank + 1) / ranks;
    // Masks are drawn by the row's number in the step: the same ones whichever rank computes it.
    source.first_row = static_cast<std::int64_t>(first_row + first);
    first_row += pass.rows;
    if (first == last) continue;
    const double share = static_cast<double>(last - first) / static_cast<double>(rows);
    const auto mine = ranks == 1 ? pass : rows_of(pass, first, last);
    loss += share * engine_.learn(network_, on_device(mine, network_.base->word_embeddings.device()), share, options,
                                  options_.on_forward);
  }
  return loss;
}

std::optional<double> Training::regularise(std::uint32_t depth) {
  if (!network_.fusion) return std::nullopt;
  const at::AutoGradMode with_gradients(true);
  // Where absent gradients are the rule, layers that this step skips are left out: their tensors have none in it.
  // Lagged, the gradient comes from a callback that knows of no step.
  const bool all = options_.lagged_regularizer || options_.zero_gradients;
  const auto penalty = fusion_regularization(*network_.fusion, all ? 0 : depth);
  if (!penalty.defined()) return std::nullopt;
  penalty.backward();
  return penalty.item<double>();
}

void Training::zero_missing_gradients() {
  for (std::size_t i = 0; i < network_.trained.size(); ++i) {
    const auto& value = network_.trained[i].value;
    // An update counted is a gradient had: the optimizer's own state remembers it, over a resume too.
    if (!value.grad().defined() && optimizer_.updates(i) > 0) value.mutable_grad() = at::zeros_like(value.detach());
  }
}

}  // namespace fathom::trainer
