#include "trainer/engine/train_job.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "common/files.hpp"
#include "trainer/batches/random.hpp"
#include "trainer/engine/errors.hpp"
#include "trainer/engine/final_tree.hpp"
#include "trainer/engine/members.hpp"

namespace fathom::trainer {
namespace {

// Points of one training curve; longer runs report every k-th step.
constexpr std::uint64_t kCurvePoints = 2000;

// Adds the time until destruction to a counter: a job is charged for its own passes only.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds) {}
  ~Stopwatch() { seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  double& seconds_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::uint64_t divide_up(std::uint64_t value, std::uint64_t by) { return (value + by - 1) / by; }

[[noreturn]] void diverged(const std::string& what, double value, std::uint64_t step) {
  throw JobError(
      ErrorClass::diverged,
      fmt::format("{} is {} at step {}; a smaller train.lr or a longer train.warmup helps", what, value, step));
}

}  // namespace

// Nothing is opened here: a job that waits for its turn costs no memory, and a mistake in its data is reported by its
// own first pass.
TrainJob::TrainJob(JobSpec spec, std::vector<Input> inputs, std::filesystem::path folder, Resources& resources,
                   JobEvents& events)
    : spec_(std::move(spec)),
      inputs_(std::move(inputs)),
      folder_(std::move(folder)),
      resources_(resources),
      events_(events) {}

bool TrainJob::advance() {
  switch (phase_) {
    case Phase::open:
      open();
      break;
    case Phase::train:
      train_pass();
      break;
    case Phase::measure: {
      const Stopwatch watch(state_.progress.seconds);
      if (evaluation_->advance()) break;
    }
      end_rung();
      break;
    // The stopwatch ends before end_epoch(): writing a checkpoint is not computing.
    case Phase::evaluate: {
      const Stopwatch watch(state_.progress.seconds);
      if (evaluation_->advance()) break;
    }
      end_epoch();
      break;
    case Phase::attend: {
      const Stopwatch watch(state_.progress.seconds);
      if (attention_->advance()) break;
    }
      attention_rows_ = attention_rows(attention_->means());
      finish();
      break;
    case Phase::done:
      break;
  }
  return phase_ != Phase::done;
}

void TrainJob::open() {
  model_ = resources_.model(spec_.model);
  spec_.drop = bound_drop(spec_.drop, static_cast<std::uint32_t>(model_->base->config.layers));
  // Evaluation first: a task without eval rows must fail before its training split is tokenised.
  eval_ = resources_.task(spec_.model, spec_.task, data::Split::eval, spec_.train.max_length);
  train_ = resources_.task(spec_.model, spec_.task, data::Split::train, spec_.train.max_length);
  metric_ = judged_metric(spec_, *eval_);
  data_sha256_ = open_members(inputs_, folder_, resources_, *model_, train_->data_sha256);
  network_ = fresh_network();
  judged_ = judged_depths(network_, spec_.drop, spec_.objective.depth);
  // The range has been checked; objective.depth is the one number left unchecked.
  if (judged_.back() >= network_.layers())
    throw JobError(ErrorClass::config, fmt::format("settings: objective.depth is {}, but the model has {} layers",
                                                   judged_.back(), network_.layers()));
  const auto rows_per_step = std::uint64_t{spec_.train.batch} * spec_.train.accumulation;
  steps_per_epoch_ = divide_up(train_->rows.size(), rows_per_step);
  const auto total = steps_per_epoch_ * spec_.train.epochs;
  report_every_ = divide_up(total, kCurvePoints);
  // Later rungs than the last step do not happen; without any there would be no early stopping, and nobody would know.
  if (!spec_.rungs.empty() && spec_.rungs.front() > total)
    throw JobError(ErrorClass::config, fmt::format("stop: the first rung is step {}, and the training has {} steps",
                                                   spec_.rungs.front(), total));
  TrainingOptions options;
  options.schedule = {spec_.train.schedule, spec_.train.lr, warmup_steps(spec_.train.warmup, total), total};
  options.adamw.weight_decay = spec_.train.weight_decay;
  options.clip = spec_.train.clip;
  options.zero_gradients = spec_.train.zero_gradients;
  options.lagged_regularizer = spec_.train.lagged_regularizer;
  options.recipe = recipe();
  options.seed = stream_key(spec_.seed, Purpose::dropout, 0);
  training_.emplace(network_, options, resources_.gang(), resources_.engine());
  resume();
  if (!spec_.frozen_dropout) expect_rows();
  phase_ = Phase::train;
  // Interrupted inside an epoch: its order is drawn again and the rows of the steps made are passed over.
  step_in_epoch_ = state_.progress.step - state_.progress.epoch * steps_per_epoch_;
  if (epoch_trained() || at_rung()) begin_evaluation();
  // The interrupted attempt had trained to the end and lacked only its final tree.
  if (state_.progress.epoch >= spec_.train.epochs || out_of_patience()) end_training();
}

// What the frozen base makes of the rows is the same in every epoch.
void TrainJob::expect_rows() {
  const auto epochs =
      static_cast<double>(spec_.train.epochs - std::min<std::uint64_t>(spec_.train.epochs, state_.progress.epoch));
  std::vector<DepthPasses> demands;
  for (auto depth = spec_.drop.lo; depth <= spec_.drop.hi; ++depth)
    demands.push_back({depth, epochs / (spec_.drop.hi - spec_.drop.lo + 1)});
  kept_ = resources_.engine().expect(network_, train_->rows, demands);
  if (kept_) kept_before_ = kept_->counts();
}

Network TrainJob::fresh_network() const {
  if (spec_.kind == JobKind::finetune) return make_finetune_network(spec_, *model_, *train_);
  if (spec_.kind == JobKind::adapter) return make_adapter_network(spec_, model_->base, *train_);
  return make_fusion_network(spec_, model_->base, *train_, inputs_, folder_);
}

void TrainJob::resume() {
  identity_ = resume_identity(resumable_settings(spec_).dump(), model_->sha256, data_sha256_);
  const auto file = folder_ / "resume.ckpt";
  if (std::filesystem::exists(file)) {
    auto checkpoint = read_checkpoint(file, identity_, training_->optimizer());
    if (checkpoint) {
      state_ = std::move(checkpoint).value();
    } else {
      // Starting over gives the same result, only later.
      events_.log("resume.ckpt cannot be used, starting from the first epoch: " + checkpoint.error().message);
    }
  }
  // Ranks that started from different steps would wait for each other for ever, or worse.
  auto step = state_.progress.step;
  resources_.gang().share(&step, sizeof step);
  if (step != state_.progress.step)
    throw JobError(ErrorClass::internal, "the ranks do not read the same resume.ckpt: is the job's folder shared?");
  events_.started(model_->sha256, data_sha256_, state_.progress.epoch);
  events_.log(fmt::format("{} rows, {} steps an epoch, {} epochs, {} trained tensors{}{}", train_->rows.size(),
                          steps_per_epoch_, spec_.train.epochs, network_.trained.size(),
                          train_->skipped ? fmt::format(", {} malformed rows left out", train_->skipped) : "",
                          state_.progress.epoch ? fmt::format(", resumed after epoch {}", state_.progress.epoch) : ""));
  if (const auto reason = resources_.engine().obstacle(network_); !reason.empty())
    events_.log("computed by the reference engine: the packed one does not cover " + reason);
}

void TrainJob::train_pass() {
  const Stopwatch watch(state_.progress.seconds);
  const Stopwatch train_watch(state_.progress.train_seconds);
  auto& progress = state_.progress;
  // Kept for the epoch: an order costs a shuffle of all rows.
  if (order_.empty()) order_ = epoch_order(train_->rows.size(), spec_.seed, progress.epoch);
  const auto per_step = std::size_t{spec_.train.batch} * spec_.train.accumulation;
  const auto first = static_cast<std::size_t>(step_in_epoch_) * per_step;
  const auto last = std::min(order_.size(), first + per_step);
  std::vector<LabelledBatch> passes;
  const auto rows = std::span(order_).subspan(first, last - first);
  // A gang shares the rows of a pass by their number: in passes of like length these are equal shares of the work.
  const auto cut = resources_.gang().size() > 1
                       ? passes_by_length(train_->rows, rows, spec_.train.batch)
                       : resources_.engine().cut(network_, train_->rows, rows, spec_.train.batch);
  for (const auto& pass : cut) {
    passes.push_back(make_batch(train_->rows, pass, kept_ != nullptr));
    progress.examples += passes.back().rows;
    progress.tokens += passes.back().tokens;
  }
  const auto depth = drawn_depth(spec_.drop.lo, spec_.drop.hi, spec_.seed, progress.step);
  // The drawn n belongs to the optimizer step, not to the pass: all passes of a step skip the same layers.
  const auto report = training_->step(progress.step, passes, depth);
  events_.step({progress.step + 1, progress.epoch + 1, report.loss, report.grad_norm, report.lr,
                spec_.drop.robust ? std::optional(depth) : std::nullopt, report.reg_loss});
  if (!std::isfinite(report.loss)) diverged("the training loss", report.loss, progress.step);
  if (!std::isfinite(report.grad_norm)) diverged("the gradient's norm", report.grad_norm, progress.step);
  ++progress.step;
  ++step_in_epoch_;
  report_step(report);
  if (epoch_trained() || at_rung()) begin_evaluation();
}

void TrainJob::report_step(const StepReport& report) {
  const auto step = state_.progress.step;
  // The last step of an epoch is always told, so that a curve ends where the evaluation stands.
  if (step % report_every_ != 0 && !epoch_trained()) return;
  events_.metric({"train/loss", step, report.loss, -1});
  events_.metric({"train/lr", step, report.lr, -1});
  events_.metric({"train/grad_norm", step, report.grad_norm, -1});
}

bool TrainJob::epoch_trained() const { return step_in_epoch_ == steps_per_epoch_; }

void TrainJob::begin_evaluation() {
  evaluation_.emplace(network_, eval_, judged_, resources_.gang(), resources_.engine(), recipe());
  phase_ = epoch_trained() ? Phase::evaluate : Phase::measure;
}

bool TrainJob::at_rung() const {
  const auto& progress = state_.progress;
  return progress.step != progress.rung && std::binary_search(spec_.rungs.begin(), spec_.rungs.end(), progress.step);
}

// For whoever judges the job by steps. Only ends of epochs make a best one: the result is that of a job nobody judges.
void TrainJob::end_rung() {
  auto& progress = state_.progress;
  progress.rung = progress.step;
  const double objective = objective_of(evaluation_->rows(progress.epoch, metric_), judged_);
  evaluation_.reset();
  if (!std::isfinite(objective)) diverged("eval/" + metric_, objective, progress.step);
  events_.metric({"objective", progress.step, objective, -1});
  events_.log(fmt::format("step {}: {} {:.4f}", progress.step, metric_, objective));
  phase_ = Phase::train;
  events_.report(progress.epoch, progress.step, objective);
}

void TrainJob::end_epoch() {
  auto& progress = state_.progress;
  ++progress.epoch;
  progress.rung = progress.step;
  order_.clear();
  step_in_epoch_ = 0;
  auto rows = evaluation_->rows(progress.epoch, metric_);
  evaluation_.reset();
  for (const auto& row : rows)
    events_.metric({row.split + "/" + row.metric, progress.step, row.value, static_cast<int>(row.depth)});
  const double objective = objective_of(rows, judged_);
  // NaN must not enter a comparison: no epoch would ever be better again.
  if (!std::isfinite(objective)) diverged("eval/" + metric_, objective, progress.step);
  events_.metric({"objective", progress.step, objective, -1});
  keep_best(state_.best, {progress.epoch, objective, std::move(rows), {}}, spec_.objective.maximize, spec_.keep_best,
            [this] { return snapshot(network_); });
  const bool best = state_.best_epoch() == progress.epoch;
  events_.log(fmt::format("epoch {}/{}: {} {:.4f}{}", progress.epoch, spec_.train.epochs, metric_, objective,
                          best ? " (best)" : ""));
  events_.report(progress.epoch, progress.step, objective);
  // After the report: a search that stops the job because of it saves the upload.
  state_.between_epochs = true;
  save_checkpoint(fmt::format("checkpoints/epoch-{}.ckpt", progress.epoch), objective, best);
  phase_ = Phase::train;
  if (progress.epoch == spec_.train.epochs || out_of_patience()) end_training();
}

void TrainJob::save_checkpoint(const std::string& path, double objective, bool best) {
  if (!resources_.gang().leads()) return;
  const auto& progress = state_.progress;
  value_or_fail(make_folders((folder_ / "checkpoints").string()), ErrorClass::disk);
  write_checkpoint(folder_ / path, identity_, state_, training_->optimizer());
  events_.checkpoint(progress.epoch, progress.step, path, objective, best);
  // The one before the last may still be on its way to the artifact store; it goes when the next one is reported.
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "checkpoints")) {
    const auto name = "checkpoints/" + entry.path().filename().string();
    std::error_code ignored;
    if (name != path && name != last_checkpoint_) std::filesystem::remove(entry.path(), ignored);
  }
  last_checkpoint_ = path;
}

bool TrainJob::out_of_patience() const {
  const auto& progress = state_.progress;
  return spec_.train.patience > 0 && progress.epoch >= state_.best_epoch() + spec_.train.patience;
}

void TrainJob::end_training() {
  if (kept_) {
    const auto read = kept_->counts().read - kept_before_.read, missed = kept_->counts().missed - kept_before_.missed;
    if (read + missed > 0)
      events_.log(fmt::format("prefix store: {} % of {} rows were there", 100 * read / (read + missed), read + missed));
  }
  kept_.reset();
  if (spec_.kind != JobKind::fusion) {
    finish();
    return;
  }
  // The attention is that of the model that will be saved.
  restore(network_, state_.best.front().tensors);
  attention_.emplace(network_, train_, spec_.drop.lo, /*mask_padding=*/true, resources_.gang());
  phase_ = Phase::attend;
}

void TrainJob::finish() {
  const auto result = conclude();
  phase_ = Phase::done;
  events_.finished(result);
}

void TrainJob::stop() {
  // A job that was about to resume has a best epoch, in its checkpoint.
  if (phase_ == Phase::open && std::filesystem::exists(folder_ / "resume.ckpt")) open();
  phase_ = Phase::done;
  const auto& progress = state_.progress;
  // Stopped before anything was measured: there is no model to keep.
  const std::string result = state_.best.empty() ? "" : conclude();
  events_.stopped(progress.epoch, progress.step, result);
}

void TrainJob::suspend() {
  const auto& progress = state_.progress;
  // Between two epochs the last checkpoint says it all; before the first step there is nothing to say.
  const bool inside = phase_ != Phase::open && phase_ != Phase::done && step_in_epoch_ > 0;
  phase_ = Phase::done;
  if (!inside) return;
  state_.between_epochs = false;
  save_checkpoint(fmt::format("checkpoints/epoch-{}-step-{}.ckpt", progress.epoch, progress.step),
                  state_.best_objective(), /*best=*/false);
}

JobResult TrainJob::result_of(const KeptEpoch& kept) const {
  const auto& progress = state_.progress;
  JobResult result;
  result.objective = kept.objective;
  result.epoch = kept.epoch;
  result.rows = kept.rows;
  result.labels = train_->labels;
  result.steps = progress.step;
  result.epochs = progress.epoch;
  result.examples = progress.examples;
  result.tokens = progress.tokens;
  result.seconds = progress.seconds;
  result.train_seconds = progress.train_seconds;
  result.base_sha256 = model_->sha256;
  result.data_sha256 = data_sha256_;
  result.device = resources_.device();
  return result;
}

void TrainJob::write_epoch(const std::filesystem::path& tree, const KeptEpoch& kept, const nlohmann::json& result) {
  restore(network_, kept.tensors);
  if (resources_.gang().leads())
    write_tree(
        tree, &network_,
        {spec_.settings, result, train_->labels, train_->regression, spec_.drop, spec_.train.max_length, spec_.model});
}

std::string TrainJob::conclude() {
  const auto tree = folder_ / "final";
  if (resources_.gang().leads()) remove_tree(tree);
  for (std::size_t i = 1; i < state_.best.size(); ++i) {
    const auto& kept = state_.best[i];
    write_epoch(tree / "epochs" / std::to_string(kept.epoch), kept, to_json(result_of(kept)));
  }
  const auto& best = state_.best.front();
  auto result = result_of(best);
  result.attention = attention_rows_;
  if (spec_.keep_best > 1) {
    for (const auto& kept : state_.best) result.best_epochs.push_back({kept.epoch, kept.objective});
  }
  const auto object = to_json(result);
  // Last: a tree with its own fathom.json is complete.
  write_epoch(tree, best, object);
  // The same object in fathom.json and in the item: what is collected is what was reported.
  return object.dump();
}

}  // namespace fathom::trainer
