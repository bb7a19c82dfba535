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
    : network_(network),
      task_(std::move(task)),
      depths_(std::move(depths)),
      batches_(batches_by_length(task_->rows, kEvalBatch)),
      collected_(depths_.size()) {}

bool Evaluation::advance() {
  if (next_ == batches_.size()) return false;
  // No autograd bookkeeping at all; nothing computed here is kept beyond the batch.
  const c10::InferenceMode inference;
  const auto& rows = task_->rows;
  const auto batch = make_batch(rows, batches_[next_]);
  const std::vector<std::int64_t> depths(depths_.begin(), depths_.end());
  const auto results = forward_depths(*network_.base, batch.input, network_.setup, depths);
  for (std::size_t i = 0; i < results.size(); ++i) collect(collected_[i], results[i].last_hidden_state, batch);
  for (const auto row : batches_[next_]) {
    if (task_->regression)
      targets_.push_back(rows.targets[row]);
    else
      labels_.push_back(rows.labels[row]);
  }
  ++next_;
  return next_ < batches_.size();
}

void Evaluation::collect(Collected& collected, const at::Tensor& hidden, const LabelledBatch& batch) {
  const auto logits = head_logits(*network_.head, *network_.base, hidden);
  // Weighted by rows: the last batch is smaller.
  collected.loss += head_loss(*network_.head, logits, batch.labels).item<double>() * static_cast<double>(batch.rows);
  const auto count = static_cast<std::size_t>(batch.rows);
  if (task_->regression) {
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

std::vector<Metric> Evaluation::metrics(const Collected& collected) const {
  auto metrics = task_->regression ? regression_metrics(collected.values, targets_)
                                   : classification_metrics(collected.classes, labels_,
                                                            static_cast<std::int32_t>(task_->labels.size()));
  const auto count = std::max(collected.classes.size(), collected.values.size());
  metrics.push_back({"loss", collected.loss / static_cast<double>(count)});
  return metrics;
}

std::vector<ResultRow> Evaluation::rows(std::uint32_t epoch, const std::string& primary) const {
  std::vector<ResultRow> rows;
  for (std::size_t i = 0; i < depths_.size(); ++i) {
    for (const auto& metric : metrics(collected_[i]))
      rows.push_back({epoch, depths_[i], metric.name, metric.value, metric.name == primary});
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
