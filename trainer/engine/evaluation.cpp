#include "trainer/engine/evaluation.hpp"

#include <ATen/ops/argmax.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "trainer/engine/errors.hpp"
#include "trainer/model/encoder.hpp"

namespace fathom::trainer {
namespace {

// Rows of one batch. No part of a result beyond rounding; large enough for full matrix products on two cores.
constexpr std::uint32_t kEvalBatch = 64;

}  // namespace

Evaluation::Evaluation(const Network& network, std::shared_ptr<const OpenTask> task, std::vector<std::uint32_t> depths)
    : network_(network), depths_(std::move(depths)) {
  parts_.push_back(part("eval", task));
  for (const auto& [split, more] : task->more) parts_.push_back(part(split, more));
}

Evaluation::Part Evaluation::part(const std::string& split, std::shared_ptr<const OpenTask> task) const {
  auto batches = batches_by_length(task->rows, kEvalBatch);
  return {split, std::move(task), std::move(batches), {}, {}, std::vector<Collected>(depths_.size())};
}

bool Evaluation::advance() {
  if (at_part_ == parts_.size()) return false;
  auto& part = parts_[at_part_];
  measure(part, part.batches[next_]);
  if (++next_ == part.batches.size()) {
    next_ = 0;
    ++at_part_;
  }
  return at_part_ < parts_.size();
}

void Evaluation::measure(Part& part, const std::vector<std::uint32_t>& chosen) {
  // No autograd bookkeeping at all; nothing computed here is kept beyond the batch.
  const c10::InferenceMode inference;
  const auto& rows = part.task->rows;
  const auto batch = make_batch(rows, chosen);
  const std::vector<std::int64_t> depths(depths_.begin(), depths_.end());
  const auto results = forward_depths(*network_.base, batch.input, network_.setup, depths);
  for (std::size_t i = 0; i < results.size(); ++i) collect(part.collected[i], results[i].last_hidden_state, batch);
  for (const auto row : chosen) {
    if (part.task->regression)
      part.targets.push_back(rows.targets[row]);
    else
      part.labels.push_back(rows.labels[row]);
  }
}

void Evaluation::collect(Collected& collected, const at::Tensor& hidden, const LabelledBatch& batch) {
  const auto logits = head_logits(*network_.head, *network_.base, hidden);
  // Weighted by rows: the last batch is smaller.
  collected.loss += head_loss(*network_.head, logits, batch.labels).item<double>() * static_cast<double>(batch.rows);
  const auto count = static_cast<std::size_t>(batch.rows);
  if (network_.head->config.num_labels == 1) {
    const auto values = logits.to(at::kDouble).contiguous();
    const auto* first = values.const_data_ptr<double>();
    collected.values.insert(collected.values.end(), first, first + count);
  } else {
    // argmax takes the first of equal logits, like NumPy, so ties are the same everywhere.
    const auto classes = at::argmax(logits, -1).to(at::kInt).contiguous();
    const auto* first = classes.const_data_ptr<std::int32_t>();
    collected.classes.insert(collected.classes.end(), first, first + count);
  }
}

std::vector<Metric> Evaluation::metrics(const Part& part, const Collected& collected) {
  const auto classes = static_cast<std::int32_t>(part.task->labels.size());
  auto metrics = part.task->regression ? regression_metrics(collected.values, part.targets)
                                       : classification_metrics(collected.classes, part.labels, classes);
  const auto count = std::max(collected.classes.size(), collected.values.size());
  metrics.push_back({"loss", collected.loss / static_cast<double>(count)});
  return metrics;
}

std::vector<ResultRow> Evaluation::rows(std::uint32_t epoch, const std::string& primary) const {
  std::vector<ResultRow> rows;
  for (const Part& part : parts_) {
    const bool judged = &part == &parts_.front();
    for (std::size_t i = 0; i < depths_.size(); ++i) {
      for (const auto& metric : metrics(part, part.collected[i]))
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

std::vector<std::uint32_t> judged_depths(const Drop& drop, const std::optional<std::uint32_t>& fixed) {
  if (fixed) return {drop.robust ? *fixed : std::max(*fixed, drop.lo)};
  std::vector<std::uint32_t> depths;
  for (auto n = drop.lo; n <= drop.hi; ++n) depths.push_back(n);
  return depths;
}

}  // namespace fathom::trainer
