// What a worker's item means: new, repeated, too early, late or not possible. Every answer acknowledges what the core
// is through with, so that a worker never sends anything for ever.
#include <algorithm>
#include <cmath>

#include "common/planted.hpp"
#include "coordinator/core/cache.hpp"
#include "coordinator/core/deciders.hpp"
#include "coordinator/core/result_head.hpp"

namespace fathom::core {
namespace {

const char* name_of(const Item& item) {
  static constexpr const char* kNames[] = {"started", "report", "checkpoint", "finished", "failed", "stopped"};
  return kNames[item.index()];
}

// One item of the attempt that holds the lease.
struct Arrived {
  const Context& context;
  const Job& job;
  WorkerNumber worker;
  std::uint64_t sequence;

  [[nodiscard]] Phase phase() const { return phase_of(job); }
  [[nodiscard]] const Sweep& sweep() const { return *context.state.sweep(job.sweep); }
  void fence(event::Fence* to) const { write_fence(fence_of(job), sequence, to); }
};

void add_late(const ItemReceived& command, const std::string& why, Decision& decision) {
  auto* late = decision.events.emplace_back().mutable_late_item();
  write_fence(command.fence, command.sequence, late->mutable_fence());
  late->set_worker(command.worker.value());
  late->set_what(name_of(command.what));
  late->set_why(why);
}

// The hashes are what dependents are given later; the store has the files already.
void write_files(const std::vector<File>& files, google::protobuf::RepeatedPtrField<event::File>* to) {
  for (const File& file : files) {
    event::File* out = to->Add();
    out->set_path(file.path);
    out->set_sha256(file.sha256);
    out->set_size(file.size);
  }
}

// One that ends the job, or one more try (rules of retry and of suspects: docs/lifecycle/job.md).
void add_failure(const Arrived& in, const item::Failed& failed, Decision& decision) {
  const sweeps::Retry& retry = in.sweep().plan->retry;
  const std::string error_class = failed.error_class.empty() ? "internal" : failed.error_class;
  const bool lost = error_class == "lost";
  // Who of several brought the trainer down is not known: nobody is charged, each has to show it alone.
  const bool shared_crash = error_class == "crash" && !failed.alone;
  // Out of memory: once more with the device to itself, never again on the same share.
  const bool oom = error_class == "oom";
  const bool had_all = in.context.state.leases.at(in.job.lease).alone;
  const bool counted = !lost && !shared_crash;
  const std::uint32_t failures = in.job.failures + (counted ? 1 : 0);
  const bool never = std::ranges::find(retry.not_on, error_class) != retry.not_on.end();
  if (never || (oom && had_all) || failures > retry.max || !next(in.phase(), Move::back_off)) {
    auto* event = decision.events.emplace_back().mutable_job_failed();
    in.fence(event->mutable_fence());
    event->set_error_class(error_class);
    event->set_message(failed.message);
    event->set_step(failed.step);
    return;
  }
  // What is not counted waits as after a first failure, but a first loss not at all.
  const std::uint32_t tries = std::max<std::uint32_t>(1, counted ? failures : 1);
  const Millis delay =
      lost && in.job.losses == 0 ? Millis(0) : backoff_delay(in.context.options, in.job.number, in.job.attempt, tries);
  auto* event = decision.events.emplace_back().mutable_job_backed_off();
  in.fence(event->mutable_fence());
  event->set_error_class(error_class);
  event->set_message(failed.message);
  event->set_step(failed.step);
  event->set_counted(counted);
  event->set_suspect(shared_crash || oom);
  event->set_delay_ms(delay.count());
  event->set_until_wall_ms((in.context.now.wall + delay).time_since_epoch().count());
}

// How many stay of those before the newest and the older one.
std::uint32_t keeps_earlier(const Arrived& in) { return in.context.state.sweep(in.job.sweep)->plan->keep_latest - 1; }

// Hashes that this job keeps now and nobody keeps once the new checkpoint is in its slots: the newest becomes the older
// one, what was that the first of those before it, and the last of them go.
std::vector<std::string> released_by(const Arrived& in, const Checkpoint& fresh) {
  std::vector<const SmallCheckpoint*> replaced;
  const Checkpoints& kept = *in.job.progress->checkpoints;
  if (kept.older) replaced.push_back(kept.older.get());
  for (const KeptCheckpoint& earlier : kept.earlier) replaced.push_back(earlier.get());
  replaced.erase(replaced.begin(), replaced.begin() + static_cast<std::ptrdiff_t>(
                                                          std::min<std::size_t>(replaced.size(), keeps_earlier(in))));
  if (fresh.best && kept.best) replaced.push_back(kept.best.get());
  std::vector<std::string> out;
  for (const SmallCheckpoint* old : replaced) {
    const std::string hash = old->sha256.str();
    const auto same = [&](const SmallCheckpoint* other) { return other->sha256 == hash; };
    const auto leaving = static_cast<std::uint32_t>(std::ranges::count_if(replaced, same));
    const bool stays = hash == fresh.file.sha256 || in.context.state.checkpoint_uses.find(hash)->second > leaving;
    if (!stays && std::ranges::find(out, hash) == out.end()) out.push_back(hash);
  }
  return out;
}

bool decide_what(const Arrived& in, const item::Started& started, Decision& decision) {
  if (!next(in.phase(), Move::start)) return false;
  auto* event = decision.events.emplace_back().mutable_job_started();
  in.fence(event->mutable_fence());
  event->set_device(started.device);
  event->set_base_sha256(started.base_sha256);
  event->set_data_sha256(started.data_sha256);
  event->set_resumed_epoch(started.resumed_epoch);
  return true;
}

bool decide_what(const Arrived& in, const item::Report& report, Decision& decision) {
  if (!next(in.phase(), Move::report)) return false;
  if (!std::isfinite(report.objective)) {  // never near a rung or a mean
    add_failure(in,
                {"diverged", "the objective is not a finite number after epoch " + std::to_string(report.epoch),
                 report.step, false},
                decision);
    return true;
  }
  auto* event = decision.events.emplace_back().mutable_report_recorded();
  in.fence(event->mutable_fence());
  event->set_epoch(report.epoch);
  event->set_step(report.step);
  event->set_objective(report.objective);
  return true;
}

bool decide_what(const Arrived& in, const Checkpoint& checkpoint, Decision& decision) {
  if (!next(in.phase(), Move::report)) return false;
  auto* event = decision.events.emplace_back().mutable_checkpoint_committed();
  in.fence(event->mutable_fence());
  event->set_epoch(checkpoint.epoch);
  event->set_step(checkpoint.step);
  event->mutable_file()->set_path(checkpoint.file.path);
  event->mutable_file()->set_sha256(checkpoint.file.sha256);
  event->mutable_file()->set_size(checkpoint.file.size);
  event->set_objective(checkpoint.objective);
  event->set_best(checkpoint.best);
  event->set_keeps_older(true);
  event->set_keeps_earlier(keeps_earlier(in));
  for (const std::string& hash : released_by(in, checkpoint)) event->add_released(hash);
  return true;
}

// In whatever state: a whole result is never thrown away.
bool decide_what(const Arrived& in, const item::Finished& finished, Decision& decision) {
  const ResultHead head = read_result_head(finished.result);
  if (!head.readable) {
    add_failure(in, {"internal", "the trainer's result is not a JSON object", 0, true}, decision);
    return true;
  }
  auto* event = decision.events.emplace_back().mutable_job_finished();
  in.fence(event->mutable_fence());
  event->set_result(finished.result);
  write_files(finished.files, event->mutable_files());
  event->set_has_objective(head.objective.has_value());
  event->set_objective(head.objective.value_or(0));
  event->set_epoch(head.epoch);
  if (!in.job.foreign) event->set_key(result_key(in.context.state, in.job));
  return true;
}

// It may have been the job's fault; on a device where it happens again and again, whatever runs there, it was not.
void strike_device(const Arrived& in, const item::Failed& failed, Decision& decision) {
  const std::uint32_t most = in.context.options.device_strikes;
  const Worker& worker = *in.context.state.worker(in.worker);
  std::uint32_t strikes = 0;
  for (const std::uint32_t place : in.context.state.leases.at(in.job.lease).devices) {
    strikes = std::max(strikes, worker.devices[place].strikes + 1);
  }
  auto* event = decision.events.emplace_back().mutable_device_struck();
  event->set_worker(in.worker.value());
  event->set_device(in.job.progress->device.str());
  event->set_excluded(most != 0 && strikes >= most);
  event->set_why(failed.message);
}

bool decide_what(const Arrived& in, const item::Failed& failed, Decision& decision) {
  add_failure(in, failed, decision);
  if (failed.watchdog) strike_device(in, failed, decision);
  return true;
}

bool decide_what(const Arrived& in, const item::Stopped& stopped, Decision& decision) {
  if (next(in.phase(), Move::stop)) {
    const ResultHead head = read_result_head(stopped.result);
    auto* event = decision.events.emplace_back().mutable_job_stopped();
    in.fence(event->mutable_fence());
    event->set_epoch(stopped.epoch);
    event->set_step(stopped.step);
    event->set_result(head.readable ? stopped.result : "");
    write_files(stopped.files, event->mutable_files());
    event->set_has_objective(head.objective.has_value());
    event->set_objective(head.objective.value_or(0));
    event->set_best_epoch(head.epoch);
    return true;
  }
  if (in.phase() == Phase::pausing) {
    auto* event = decision.events.emplace_back().mutable_lease_released();
    in.fence(event->mutable_fence());
    event->set_why(std::get<Pausing>(in.job.state).text.str());
    return true;
  }
  if (in.job.handing_back) {
    auto* event = decision.events.emplace_back().mutable_lease_released();
    in.fence(event->mutable_fence());
    event->set_why("its sweep was paused");
    return true;
  }
  // Nobody wished it: the worker hands the job back because it shuts down. First it gets no more jobs, else this one
  // would go straight back to it.
  if (in.context.state.worker(in.worker)->state == WorkerState::ready) {
    decision.events.emplace_back().mutable_worker_draining()->set_worker(in.worker.value());
  }
  auto* event = decision.events.emplace_back().mutable_lease_released();
  in.fence(event->mutable_fence());
  event->set_why("its worker shuts down");
  return true;
}

// An old attempt, or no attempt of this worker at all: acknowledged as late and, if it ever existed, noted once.
Decision decide_late(const Context& context, const ItemReceived& command) {
  Decision decision;
  decision.replies.emplace_back(SendAck{command.worker, command.fence, command.sequence, true});
  const Job* job = context.state.job(command.fence.job);
  const Fence& fence = command.fence;
  const auto newest = [&] {  // who held an older one is not kept: its items are noted whoever sends them
    return fence.lease == job->lease && command.worker == job->worker;
  };
  const auto of_this_generation = [&] {
    return fence.attempt < job->attempt || (fence.attempt == job->attempt && newest());
  };
  // How many attempts an older generation had is not kept; its leases are older than the next one.
  const auto of_an_older_one = [&] {
    return fence.generation >= 1 && fence.generation < job->generation &&
           fence.lease.value() < context.state.next_lease;
  };
  const bool existed = job != nullptr && fence.attempt >= 1 &&
                       (fence.generation == job->generation ? of_this_generation() : of_an_older_one());
  if (!existed) {
    decision.rejection =
        Error{Errc::permission_denied, "worker " + std::to_string(command.worker.value()) +
                                           " sent an item of an attempt that it was never given: job " +
                                           std::to_string(fence.job.value())};
    return decision;
  }
  // A fenced worker sends its whole spool: each item is noted once, and what comes again is only acknowledged.
  const std::vector<LateMark>& late = *job->progress->late;
  const auto seen = std::ranges::find_if(
      late, [&](const LateMark& mark) { return mark.generation == fence.generation && mark.attempt == fence.attempt; });
  if (seen == late.end() || seen->sequence < command.sequence) {
    add_late(command, "attempt " + std::to_string(fence.attempt) + " no longer holds the job", decision);
  }
  return decision;
}

}  // namespace

Decision decide_item(const Context& context, const ItemReceived& command) {
  const Job* job = context.state.job(command.fence.job);
  const bool newest = job != nullptr && job->attempt != 0 && fence_of(*job) == command.fence;
  if (newest && command.sequence <= job->sequence) {  // applied before
    Decision decision;
    decision.replies.emplace_back(SendAck{command.worker, command.fence, job->sequence, false});
    return decision;
  }
  const bool holds = lease_of(context.state, command.worker, command.fence) != nullptr;
  if (job == nullptr || (!holds && !planted(PlantedBug::skip_fence))) return decide_late(context, command);
  // One connection keeps the order, so a gap is a worker that forgot; it has the rest in its spool.
  if (command.sequence != job->sequence + 1 && !planted(PlantedBug::skip_fence)) {
    Decision decision =
        refuse(Errc::failed_precondition, "an item is missing before " + std::to_string(command.sequence) +
                                              ": send again from " + std::to_string(job->sequence + 1));
    decision.replies.emplace_back(SendAck{command.worker, command.fence, job->sequence, false});
    return decision;
  }
  const Arrived arrived{context, *job, command.worker, command.sequence};
  Decision decision;
  const bool possible =
      std::visit([&](const auto& what) { return decide_what(arrived, what, decision); }, command.what);
  if (!possible) {
    const std::string why = std::string("not possible while the job is ") + name_of(phase_of(*job));
    add_late(command, why, decision);
    decision.rejection = Error{Errc::failed_precondition, std::string("a ") + name_of(command.what) + " is " + why};
  }
  decision.replies.emplace_back(SendAck{command.worker, command.fence, command.sequence, false});
  return decision;
}

}  // namespace fathom::core
