#include "tests/sim/sim_trainer.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/protocol/fences.hpp"
#include "tests/sim/world.hpp"

namespace fathom::sim {
namespace {

constexpr std::uint32_t kSteps = 10;       // of an epoch
constexpr std::uint32_t kCheckpoints = 3;  // epochs from one to the next

std::uint32_t epochs_of(const std::string& settings) {
  const auto json = nlohmann::json::parse(settings, nullptr, false);
  if (!json.is_object() || !json.contains("train")) return 0;
  const std::string kind = json.value("kind", "");
  return kind == "prune" || kind == "evaluate" ? 0 : json["train"].value("epochs", 0U);
}

}  // namespace

SimTrainer::SimTrainer(World& world, SimWorker& owner, Callbacks callbacks)
    : world_(world), owner_(owner), callbacks_(std::move(callbacks)) {
  owner_.trainers.push_back(this);
  world_.scheduler.after(world_.random.millis(100, 400), life_, [this] {
    wire::Envelope hello;
    hello.mutable_trainer_hello()->set_protocol(1);
    push(hello);
    alive();
  });
}

SimTrainer::~SimTrainer() {
  life_.end();
  for (auto& [fence, run] : runs_) run.life.end();
  std::erase(owner_.trainers, this);
}

void SimTrainer::push(const wire::Envelope& envelope) {
  if (silent_ || exited_) return;
  callbacks_.on_envelope(std::make_shared<wire::Envelope>(envelope));
}

void SimTrainer::push(const wire::Item& item) {
  wire::Envelope envelope;
  *envelope.mutable_items()->add_items() = item;
  push(envelope);
}

void SimTrainer::exit(int wait_status) {
  if (std::exchange(exited_, true)) return;
  for (auto& [fence, run] : runs_) run.life.end();
  runs_.clear();
  world_.scheduler.after(Millis(1), life_, [this, wait_status] { callbacks_.on_exit(wait_status); });
}

Status SimTrainer::send(const std::vector<wire::Envelope>& envelopes) {
  if (exited_) return Error{Errc::unavailable, "the trainer has ended"};
  if (silent_) return success();
  for (const wire::Envelope& envelope : envelopes)
    world_.scheduler.after(Millis(1), life_, [this, envelope] { take(envelope); });
  return success();
}

void SimTrainer::take(const wire::Envelope& envelope) {
  if (exited_) return;
  if (envelope.has_trainer_job()) begin(envelope.trainer_job());
  if (envelope.has_stop()) stop(from_wire(envelope.stop().fence()), envelope.stop().cause() != "pause");
  if (envelope.has_shutdown()) shut_down();
}

void SimTrainer::alive() {
  wire::Envelope envelope;
  envelope.mutable_alive()->set_steps(steps_);
  push(envelope);
  world_.scheduler.after(Millis(1000), life_, [this] { alive(); });
}

wire::Item SimTrainer::item_of(const Run& run) const {
  wire::Item item;
  *item.mutable_fence() = run.order.assign().fence();
  return item;
}

void SimTrainer::begin(const wire::TrainerJob& order) {
  const wire::Assign& assign = order.assign();
  Run run;
  run.order = order;
  run.id = assign.job_id();
  run.epochs = epochs_of(assign.settings());
  run.value = value_at_start(run.id);
  for (const wire::File& file : assign.fetch()) {
    run.value = mix(run.value, owner_.files[order.folder() + "/inputs/" + file.path()]);
  }
  if (assign.has_resume()) resume(run);
  wire::Item item = item_of(run);
  item.mutable_started()->set_device(assign.device());
  item.mutable_started()->set_resumed_epoch(run.epoch);
  const auto settings = nlohmann::json::parse(assign.settings(), nullptr, false);
  item.mutable_started()->set_base_sha256("base of " + settings.value(nlohmann::json::json_pointer("/model/path"), ""));
  item.mutable_started()->set_data_sha256("data of " + settings.value(nlohmann::json::json_pointer("/task/name"), ""));
  push(item);
  const Fence fence = from_wire(assign.fence());
  const Life life = run.life;
  runs_.insert_or_assign(fence, std::move(run));
  world_.scheduler.after(world_.random.millis(500, 1300), life, [this, fence] { next_epoch(fence); });
}

// "ckpt JOB EPOCH VALUE BEST-EPOCH": the best objective follows from its epoch.
void SimTrainer::resume(Run& run) {
  std::istringstream text(owner_.files[run.order.folder() + "/resume.ckpt"]);
  std::string word, job;
  std::uint32_t epoch = 0, best = 0;
  std::uint64_t value = 0;
  if (!(text >> word >> job >> epoch >> value >> best) || job != run.id) {
    return world_.complain("a trainer was given a checkpoint that is not its job's");
  }
  run.epoch = epoch;
  run.value = value;
  run.best.see(objective_of(run.id, best), best);
}

void SimTrainer::next_epoch(const Fence& fence) {
  const auto found = runs_.find(fence);
  if (found == runs_.end() || exited_) return;
  Run& run = found->second;
  if (!run.failing.empty()) {
    wire::Item item = item_of(run);
    item.mutable_failed()->set_error_class(run.failing);
    item.mutable_failed()->set_message("it was told to fail");
    item.mutable_failed()->set_alone(runs_.size() == 1);
    push(item);
    runs_.erase(found);
    return;
  }
  if (!stuck_ && !silent_) {
    if (run.epoch >= run.epochs) return finish(fence, run);
    ++run.epoch;
    steps_ += kSteps;
    run.value = mix(run.value, run.epoch);
    const double objective = objective_of(run.id, run.epoch);
    const std::uint32_t before = run.best.epoch;
    run.best.see(objective, run.epoch);
    if (run.epoch % kCheckpoints == 0) write_checkpoint(run, run.best.epoch > before);
    wire::Item item = item_of(run);
    item.mutable_report()->set_epoch(run.epoch);
    item.mutable_report()->set_step(run.epoch * kSteps);
    item.mutable_report()->set_objective(objective);
    push(item);
    if (run.epoch == run.epochs / 2) {
      wire::Envelope metrics;
      *metrics.mutable_metrics()->mutable_fence() = run.order.assign().fence();
      wire::MetricPoint& point = *metrics.mutable_metrics()->add_points();
      point.set_name("eval/accuracy");
      point.set_step(run.epoch * kSteps);
      point.set_value(objective);
      push(metrics);
    }
  }
  const Millis pause = run.epoch >= run.epochs && !stuck_ ? Millis(20) : world_.random.millis(500, 1300);
  world_.scheduler.after(pause, run.life, [this, fence] { next_epoch(fence); });
}

void SimTrainer::write_checkpoint(Run& run, bool best) {
  const std::string path = "checkpoints/epoch-" + std::to_string(run.epoch) + ".ckpt";
  owner_.files[run.order.folder() + "/" + path] = "ckpt " + run.id + " " + std::to_string(run.epoch) + " " +
                                                  std::to_string(run.value) + " " + std::to_string(run.best.epoch);
  wire::Item item = item_of(run);
  wire::Checkpoint& message = *item.mutable_checkpoint();
  message.set_epoch(run.epoch);
  message.set_step(run.epoch * kSteps);
  message.set_path(path);
  message.set_objective(run.best.objective);
  message.set_best(best);
  push(item);
}

void SimTrainer::write_final(const Run& run) {
  owner_.files[run.order.folder() + "/final/value.txt"] = value_file(run.value);
}

void SimTrainer::finish(const Fence& fence, Run& run) {
  if (run.epochs == 0) run.best.see(objective_of(run.id, 0), 0);
  write_final(run);
  wire::Item item = item_of(run);
  item.mutable_finished()->set_result(result_text(run.best, run.value));
  push(item);
  ++steps_;
  runs_.erase(fence);
}

// A step and its checkpoint take a while, and the job may end by itself meanwhile.
void SimTrainer::stop(const Fence& fence, bool keep_best) {
  if (!runs_.contains(fence)) return;
  // Of the trainer's life, not the job's: both may be over when the step is.
  world_.scheduler.after(world_.random.millis(10, 400), life_,
                         [this, fence, keep_best] { stop_now(fence, keep_best); });
}

void SimTrainer::stop_now(const Fence& fence, bool keep_best) {
  const auto found = runs_.find(fence);
  if (found == runs_.end() || stuck_) return;
  found->second.life.end();
  const Run run = std::move(found->second);
  runs_.erase(found);
  wire::Item item = item_of(run);
  wire::Stopped& stopped = *item.mutable_stopped();
  stopped.set_epoch(run.epoch);
  stopped.set_step(run.epoch * kSteps);
  if (run.epoch > 0 && keep_best) {
    stopped.set_result(result_text(run.best, run.value));
    write_final(run);
  }
  push(item);
}

void SimTrainer::shut_down() {
  if (stuck_) return;
  for (auto& [fence, run] : runs_) {
    if (run.epoch > 0) write_checkpoint(run, run.best.epoch == run.epoch);
  }
  world_.scheduler.after(Millis(50), life_, [this] { exit(0); });
}

bool SimTrainer::fail_one(const std::string& error_class) {
  if (runs_.empty()) return false;
  auto chosen = runs_.begin();
  std::advance(chosen, static_cast<std::ptrdiff_t>(world_.random.below(runs_.size())));
  chosen->second.failing = error_class;
  return true;
}

}  // namespace fathom::sim
