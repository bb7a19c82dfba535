#include "trainer/engine/training.hpp"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "trainer/optim/clip.hpp"

namespace fathom::trainer {

Training::Training(const Network& network, const TrainingOptions& options, Gang& gang)
    : network_(network),
      options_(options),
      optimizer_(network.trained, options.adamw),
      gang_(gang),
      sum_gradients_(network.trained, gang) {}

StepReport Training::step(std::uint64_t step, const std::vector<LabelledBatch>& passes, std::uint32_t depth) {
  StepReport report;
  report.lr = options_.schedule.at(step);
  DropoutSource source{options_.seed, step, 0};
  ForwardOptions options;
  options.drop_depth = depth;
  options.recipe = options_.recipe;
  options.dropout = options_.dropout ? &source : nullptr;
  report.loss = sum_gradients_(accumulate(passes, options, source));
  report.reg_loss = regularise(depth);
  if (options_.on_gradients) options_.on_gradients();
  report.grad_norm = clip_gradients(network_.trained, options_.clip);
  if (std::isfinite(report.loss) && std::isfinite(report.grad_norm)) optimizer_.step(report.lr);
  // Undefined rather than zero: see AdamW.
  clear_gradients(network_.trained);
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
    loss += share * accumulate(ranks == 1 ? pass : rows_of(pass, first, last), share, options);
  }
  return loss;
}

double Training::accumulate(const LabelledBatch& rows, double share, const ForwardOptions& options) {
  const at::AutoGradMode with_gradients(true);
  const auto pass = on_device(rows, network_.base->word_embeddings.device());
  const auto hidden = forward(*network_.base, pass.input, network_.setup, options).last_hidden_state;
  const auto logits = head_logits(*network_.head, *network_.base, hidden, options.dropout);
  const auto loss = head_loss(*network_.head, logits, pass.labels);
  // Weighted by rows, so that a step made of several passes has the gradient of one pass over all of them.
  if (share == 1.0)
    loss.backward();
  else
    loss.mul(share).backward();
  return loss.item<double>();
}

std::optional<double> Training::regularise(std::uint32_t depth) {
  if (!network_.fusion) return std::nullopt;
  const at::AutoGradMode with_gradients(true);
  // Layers that this step skips are left out: their tensors have no gradient in it.
  const auto penalty = fusion_regularization(*network_.fusion, depth);
  if (!penalty.defined()) return std::nullopt;
  penalty.backward();
  return penalty.item<double>();
}

}  // namespace fathom::trainer
