#include "trainer/engine/benchmark_job.hpp"

#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <numeric>

#include "trainer/batches/random.hpp"
#include "trainer/engine/errors.hpp"
#include "trainer/engine/final_tree.hpp"
#include "trainer/engine/members.hpp"
#include "trainer/report/result.hpp"

namespace fathom::trainer {
namespace {

// Steps go round among so many batches: other rows each time, drawn before anything is measured.
constexpr std::uint32_t kBatches = 8;

// When the device has done everything that it was given, in seconds.
double now_on(at::Device device) {
  if (!device.is_cpu()) c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

TokenizedRows drawn_rows(const ModelConfig& model, std::uint32_t count, std::uint32_t length, std::uint64_t seed) {
  Xoshiro256 random(stream_key(seed, Purpose::order, 0));
  const auto tokens = static_cast<std::uint64_t>(model.vocabulary - 1);  // all but the padding
  const auto pad = static_cast<std::int32_t>(model.pad_token_id);
  std::vector<std::int32_t> ids, labels;
  std::vector<std::size_t> offsets = {0};
  for (std::uint32_t row = 0; row < count; ++row) {
    for (std::uint32_t i = 0; i < length; ++i) {
      const auto id = static_cast<std::int32_t>(random.below(tokens));
      ids.push_back(id < pad ? id : id + 1);
    }
    offsets.push_back(ids.size());
    labels.push_back(static_cast<std::int32_t>(row % 2));
  }
  TokenizedRows rows;
  rows.pad_id = pad;
  rows.types = std::vector<std::int32_t>(ids.size(), 0);
  rows.ids = std::move(ids);
  rows.offsets = std::move(offsets);
  rows.labels = std::move(labels);
  return rows;
}

BenchmarkJob::BenchmarkJob(BenchmarkSpec spec, std::vector<Input> members, std::filesystem::path folder,
                           Resources& resources, JobEvents& events)
    : spec_(std::move(spec)),
      members_(std::move(members)),
      folder_(std::move(folder)),
      resources_(resources),
      events_(events) {}

void BenchmarkJob::open() {
  if (!resources_.device().starts_with(spec_.device))
    throw JobError(ErrorClass::config, fmt::format("settings: device is {}, but this trainer computes on {}",
                                                   spec_.device, resources_.device()));
  model_ = resources_.model(spec_.model);
  const auto& config = model_->base->config;
  if (static_cast<std::int64_t>(spec_.length) > config.max_length())
    throw JobError(ErrorClass::config,
                   fmt::format("settings: benchmark.length is {}, but the model {} has positions for {} tokens only",
                               spec_.length, config.name, config.max_length()));
  (void)bound_drop({spec_.depth, spec_.depth, false}, static_cast<std::uint32_t>(config.layers));
  task_.labels = {"0", "1"};
  task_.rows = drawn_rows(config, spec_.batch * kBatches, spec_.length, 0);
  std::vector<std::uint32_t> chosen(spec_.batch);
  for (std::uint32_t i = 0; i < kBatches; ++i) {
    std::iota(chosen.begin(), chosen.end(), i * spec_.batch);
    batches_.push_back(on_device(make_batch(task_.rows, chosen), resources_.place()));
  }
  (void)open_members(members_, folder_, resources_, *model_, "");
  // No data: what is measured does not depend on any.
  events_.started(model_->sha256, "", 0);
  begin_round();
  if (const auto reason = resources_.engine().obstacle(networks_.front()); !reason.empty())
    events_.log("computed by the reference engine: the packed one does not cover " + reason);
}

Network BenchmarkJob::make_network(std::uint64_t seed, std::uint32_t place) const {
  JobSpec spec = spec_.network_spec();
  spec.seed = seed;
  if (spec_.subject == Subject::finetune) return make_finetune_network(spec, *model_, task_);
  const bool fusion = spec_.subject == Subject::fusion;
  if (spec_.trained && fusion) return make_fusion_network(spec, model_->base, task_, members_, folder_);
  if (spec_.trained) return make_member_network(spec, model_->base, task_, members_[place], folder_);
  if (fusion) return make_random_fusion_network(spec, model_->base, task_, spec_.members);
  return make_adapter_network(spec, model_->base, task_);
}

void BenchmarkJob::begin_round() {
  training_.reset();
  networks_.clear();
  const bool several = spec_.subject == Subject::parallel || spec_.subject == Subject::separate;
  for (std::uint32_t i = 0; i < (several ? spec_.members : 1); ++i) networks_.push_back(make_network(round_ + i, i));
  step_ = 0;
  if (!spec_.train) return;
  TrainingOptions options;
  options.schedule = {ScheduleKind::constant, 1e-4, 0, spec_.warmup + spec_.steps};
  options.recipe = spec_.frozen_dropout ? Recipe::hf : Recipe::fast;
  options.seed = stream_key(round_, Purpose::dropout, 0);
  options.on_forward = [this] { forward_at_ = now_on(resources_.place()); };
  options.on_gradients = [this] { backward_at_ = now_on(resources_.place()); };
  training_.emplace(networks_.front(), options, resources_.gang(), resources_.engine());
}

StepTimes BenchmarkJob::train_step(const LabelledBatch& batch) {
  const double start = now_on(resources_.place());
  (void)training_->step(step_, {batch}, spec_.depth);
  const double end = now_on(resources_.place());
  return {forward_at_ - start, backward_at_ - forward_at_, end - backward_at_};
}

StepTimes BenchmarkJob::infer_step(const LabelledBatch& batch) {
  const c10::InferenceMode inference;
  std::vector<Branch> branches;
  for (const auto& network : networks_) branches.push_back({&network, spec_.depth});
  const double start = now_on(resources_.place());
  if (spec_.subject == Subject::separate) {
    for (const Branch& branch : branches) (void)resources_.engine().logits({branch}, batch.input);
  } else {
    (void)resources_.engine().logits(branches, batch.input);
  }
  return {now_on(resources_.place()) - start, 0, 0};
}

bool BenchmarkJob::advance() {
  if (done_) return false;
  if (!model_) {
    open();
    return true;
  }
  const auto& batch = batches_[step_ % kBatches];
  const auto times = spec_.train ? train_step(batch) : infer_step(batch);
  if (step_ >= spec_.warmup) {
    times_.push_back(times);
    seconds_ += times.whole();
  }
  if (++step_ < spec_.warmup + spec_.steps) return true;
  events_.log(fmt::format("round {}/{}: {} steps measured so far", round_ + 1, spec_.repeat, times_.size()));
  if (++round_ == spec_.repeat) end_depth();
  if (spec_.all_depths && round_ == spec_.repeat && spec_.depth + 1 < model_->base->config.layers) {
    ++spec_.depth;
    round_ = 0;
  }
  if (round_ == spec_.repeat)
    finish();
  else
    begin_round();
  return !done_;
}

void BenchmarkJob::end_depth() {
  const TimesSummary summary = summarise(times_);
  const std::string split = spec_.train ? "train" : "infer";
  std::vector<std::pair<std::string, double>> values = {{"seconds", summary.seconds},
                                                        {"p10", summary.p10},
                                                        {"p90", summary.p90},
                                                        {"rows_per_s", spec_.batch / summary.seconds}};
  if (spec_.train) {
    values.insert(values.end(),
                  {{"forward", summary.forward}, {"backward", summary.backward}, {"optimizer", summary.optimizer}});
  }
  for (const auto& [name, value] : values) {
    rows_.push_back({0, spec_.depth, name, value, /*primary=*/false, split});
    events_.metric({split + "/" + name, times_.size(), value, static_cast<int>(spec_.depth)});
  }
  measured_ += times_.size();
  times_.clear();
}

void BenchmarkJob::finish() {
  JobResult result;
  result.rows = rows_;
  result.steps = measured_;
  result.examples = result.steps * spec_.batch;
  result.tokens = result.examples * spec_.length;
  result.seconds = result.train_seconds = seconds_;
  result.base_sha256 = model_->sha256;
  result.device = resources_.device();
  auto object = to_json(result);
  object["objective"] = nullptr;  // nothing here is better than something else
  Card card;
  card.settings = spec_.settings;
  card.result = object;
  card.labels = task_.labels;
  card.drop = {spec_.depth, spec_.depth, false};
  card.max_length = spec_.length;
  card.model = spec_.model;
  if (resources_.gang().leads()) write_final(folder_, nullptr, card);
  done_ = true;
  events_.finished(object.dump());
}

void BenchmarkJob::stop() {
  done_ = true;
  events_.stopped(0, 0, "");
}

}  // namespace fathom::trainer
