#include "trainer/engine/measure_job.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>

#include "trainer/engine/errors.hpp"

namespace fathom::trainer {

MeasureJob::MeasureJob(JobSpec spec, Input input, std::filesystem::path folder, Resources& resources, JobEvents& events)
    : spec_(std::move(spec)),
      input_(std::move(input)),
      folder_(std::move(folder)),
      resources_(resources),
      events_(events) {}

bool MeasureJob::advance() {
  const auto start = std::chrono::steady_clock::now();
  const auto charge = [&] {
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  switch (phase_) {
    case Phase::open:
      open();
      break;
    case Phase::attend:
      if (!attention_->advance()) prune();
      charge();
      break;
    case Phase::evaluate: {
      const bool more = evaluation_->advance();
      charge();
      if (!more) finish();
      break;
    }
    case Phase::done:
      break;
  }
  return phase_ != Phase::done;
}

void MeasureJob::open() {
  source_ = open_source(spec_, input_, folder_, resources_);
  if (spec_.kind == JobKind::evaluate) {
    events_.started(source_.model->sha256, source_.eval->data_sha256, 0);
    depths_ = measurable_depths(source_, spec_.depths);
    begin_evaluation();
    return;
  }
  // The kind of the source is known only from its tree.
  if (!source_.network.fusion)
    throw JobError(ErrorClass::config, "prune: the source is no fusion; only fusions can be pruned");
  const auto train = resources_.task(spec_.model, spec_.task, data::Split::train, source_.card.max_length);
  events_.started(source_.model->sha256, source_.eval->data_sha256, 0);
  // A pruned fusion is compared with its source, so it is judged at the same depths.
  depths_ = judged_depths(source_.network, source_.card.drop, spec_.objective.depth);
  attention_.emplace(source_.network, train, source_.card.drop.lo, spec_.mask_padding, resources_.gang());
  phase_ = Phase::attend;
}

void MeasureJob::prune() {
  const auto means = attention_->means();
  kept_ = kept_members(means, source_.network.base->config.layers, spec_.keep);
  attention_rows_ = attention_rows(means, kept_);
  // It refers to the setup that is replaced next.
  attention_.reset();
  source_.network.setup = value_or_fail(prune_fusion(source_.network.setup, kept_), ErrorClass::config);
  source_.network.fusion = source_.network.setup.fusion;
  begin_evaluation();
}

void MeasureJob::begin_evaluation() {
  evaluation_.emplace(source_.network, source_.eval, depths_, resources_.gang(), resources_.engine(),
                      spec_.frozen_dropout ? Recipe::hf : Recipe::fast);
  phase_ = Phase::evaluate;
}

void MeasureJob::finish() {
  auto rows = evaluation_->rows(0, source_.metric);
  const double objective = objective_of(rows, judged_depths(source_.network, source_.card.drop, spec_.objective.depth));
  if (!std::isfinite(objective))
    throw JobError(ErrorClass::diverged, "eval/" + source_.metric + " of the source model is not a number");
  for (const auto& row : rows)
    events_.metric({row.split + "/" + row.metric, 0, row.value, static_cast<int>(row.depth)});
  events_.log(fmt::format("{} {:.4f} over {} depths", source_.metric, objective, depths_.size()));
  auto result = result_of(source_, std::move(rows), objective, resources_);
  result.attention = attention_rows_;
  result.kept = kept_;
  result.seconds = seconds_;
  Card card = source_.card;
  // Drop, labels and length are inherited: what is measured next must run the model as it was trained.
  card.settings = spec_.settings;
  card.result = to_json(result);
  // An evaluation adds no weights; its source keeps them.
  const bool pruned = spec_.kind == JobKind::prune;
  if (resources_.gang().leads()) write_final(folder_, pruned ? &source_.network : nullptr, card);
  phase_ = Phase::done;
  events_.finished(card.result.dump());
}

void MeasureJob::stop() {
  phase_ = Phase::done;
  events_.stopped(0, 0, "");
}

}  // namespace fathom::trainer
