#include "trainer/engine/evaluation.hpp"

#include <ATen/ops/argmax.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <numeric>

#include "trainer/engine/errors.hpp"
#include "trainer/model/encoder.hpp"

namespace fathom::trainer {
namespace {

// Rows of one batch. No part of a result beyond rounding; large enough for full matrix products on two cores.
constexpr std::uint32_t kEvalBatch = 64;

}  // namespace

Evaluation::Evaluation(const Network& network, std::shared_ptr<const OpenTask> task, std::vector<std::uint32_t> depths,
                       Gang& gang, Engine& engine, Recipe recipe)
    : network_(network), gang_(gang), engine_(engine), recipe_(recipe), depths_(std::move(depths)) {
  parts_.push_back(part("eval", task));
  for (const auto& [split, more] : task->more) parts_.push_back(part(split, more));
}

Evaluation::Part Evaluation::part(const std::string& split, std::shared_ptr<const OpenTask> task) const {
  auto batches = batches_by_length(task->rows, kEvalBatch);
  const auto depths = static_cast<std::int64_t>(depths_.size());
  const std::int64_t rows = task->rows.size(), count = static_cast<std::int64_t>(batches.size());
  std::vector<DepthPasses> demands;
  for (const auto depth : depths_) demands.push_back({depth, 1});
  auto kept = recipe_ == Recipe::fast ? engine_.expect(network_, task->rows, demands) : nullptr;
  return {split,
          std::move(task),
          std::move(batches),
          at::zeros({depths, rows}, at::kDouble),
          at::zeros({depths, count}, at::kDouble),
          std::move(kept)};
}

bool Evaluation::advance() {
  if (at_part_ == parts_.size()) return false;
  auto& part = parts_[at_part_];
  const auto mine = next_ + static_cast<std::size_t>(gang_.rank());
  if (mine < part.batches.size()) measure(part, mine);
  next_ += static_cast<std::size_t>(gang_.size());
  if (next_ >= part.batches.size()) {
    // Every number was found by one rank and is zero on the others.
    gang_.sum(part.predicted);
    gang_.sum(part.losses);
    next_ = 0;
    ++at_part_;
  }
  return at_part_ < parts_.size();
}

void Evaluation::measure(Part& part, std::size_t number) {
  // No autograd bookkeeping at all; nothing computed here is kept beyond the batch.
  const c10::InferenceMode inference;
  const auto batch = on_device(make_batch(part.task->rows, part.batches[number], part.kept != nullptr),
                               network_.base->word_embeddings.device());
  std::vector<Branch> branches;
  for (const auto depth : depths_) branches.push_back({&network_, depth});
  const auto results = engine_.logits(branches, batch.input);
  const auto column = static_cast<std::int64_t>(number);
  // All batches but the last have the same size.
  const auto first = column * static_cast<std::int64_t>(kEvalBatch), count = static_cast<std::int64_t>(batch.rows);
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(results.size()); ++i) {
    const auto& logits = results[static_cast<std::size_t>(i)];
    // Weighted by rows: the last batch is smaller.
    const auto loss = head_loss(*network_.head, logits, batch.labels).item<double>();
    part.losses.select(0, i).narrow(0, column, 1).fill_(loss * static_cast<double>(batch.rows));
    // argmax takes the first of equal logits, like NumPy, so ties are the same everywhere.
    const bool value = network_.head->config.num_labels == 1;
    part.predicted.select(0, i).narrow(0, first, count).copy_(value ? logits.view(-1) : at::argmax(logits, -1));
  }
}

std::vector<Metric> Evaluation::metrics(const Part& part, std::size_t depth) const {
  const auto row = static_cast<std::int64_t>(depth);
  const auto* predicted = part.predicted.select(0, row).const_data_ptr<double>();
  const auto& known = part.task->rows;
  const auto classes = static_cast<std::int32_t>(part.task->labels.size());
  std::vector<std::int32_t> guesses, labels;
  std::vector<double> values, targets;
  for (const auto& batch : part.batches) {
    for (const auto i : batch) {
      const double found = *predicted++;
      if (network_.head->config.num_labels == 1)
        values.push_back(found);
      else
        guesses.push_back(static_cast<std::int32_t>(found));
      if (part.task->regression)
        targets.push_back(known.targets[i]);
      else
        labels.push_back(known.labels[i]);
    }
  }
  auto metrics =
      part.task->regression ? regression_metrics(values, targets) : classification_metrics(guesses, labels, classes);
  const auto* losses = part.losses.select(0, row).const_data_ptr<double>();
  const double loss = std::accumulate(losses, losses + part.batches.size(), 0.0);
  metrics.push_back({"loss", loss / static_cast<double>(known.size())});
  return metrics;
}

std::vector<ResultRow> Evaluation::rows(std::uint32_t epoch, const std::string& primary) const {
  std::vector<ResultRow> rows;
  for (const Part& part : parts_) {
    const bool judged = &part == &parts_.front();
    for (std::size_t i = 0; i < depths_.size(); ++i) {
      for (const auto& metric : metrics(part, i))
        rows.push_back({epoch, depths_[i], metric.name, metric.value, judged && metric.name == primary, part.split});
    }
  }
  return rows;
}

double objective_of(const std::vector<ResultRow>& rows, const std::vector<std::uint32_t>& depths) {
  double judged = 0, all = 0;
  std::size_t judged_count = 0, count = 0;
  for (const auto& row : rows) {
    if (!row.primary) continue;
    all += row.value;
    ++count;
    if (std::find(depths.begin(), depths.end(), row.depth) == depths.end()) continue;
    judged += row.value;
    ++judged_count;
  }
  // An evaluation of other depths than the job's own still needs one number to be listed by.
  if (judged_count > 0) return judged / static_cast<double>(judged_count);
  return count > 0 ? all / static_cast<double>(count) : 0.0;
}

std::string judged_metric(const JobSpec& spec, const OpenTask& task) {
  try {
    return primary_metric(spec.metric, spec.task_name, task.regression, static_cast<std::int32_t>(task.labels.size()));
  } catch (const std::invalid_argument& error) {
    throw JobError(ErrorClass::config, error.what());
  }
}

std::vector<std::uint32_t> judged_depths(const Network& network, const Drop& drop,
                                         const std::optional<std::uint32_t>& fixed) {
  if (network.whole) return {0};
  if (fixed) return {drop.robust ? *fixed : std::max(*fixed, drop.lo)};
  std::vector<std::uint32_t> depths;
  for (auto n = drop.lo; n <= drop.hi; ++n) depths.push_back(n);
  return depths;
}

}  // namespace fathom::trainer
