// Only what the records say is copied; what they imply (queues, counters, indexes) is made with the functions that
// evolve() uses.
#include <algorithm>
#include <utility>

#include "coordinator/core/cache.hpp"
#include "coordinator/core/event.pb.h"
#include "coordinator/core/machine.hpp"
#include "coordinator/core/searches.hpp"
#include "coordinator/core/snapshot.hpp"

namespace fathom::core {
namespace {

Error damaged(const std::string& what) { return Error{Errc::corrupt, "the snapshot is damaged: " + what}; }

File get(const event::File& file) { return {file.path(), file.sha256(), file.size()}; }

Checkpoint get(const snapshot::Checkpoint& in) {
  return {in.epoch(), in.step(), get(in.file()), in.objective(), in.best()};
}

Outcome get(const snapshot::Outcome& in) {
  Outcome outcome{{}, in.epoch(), in.has_files(), {}};
  if (in.has_objective()) outcome.objective = in.objective();
  for (const event::File& file : in.files()) outcome.files.edit().push_back(get(file));
  return outcome;
}

JobState state_of(const snapshot::Job& in) {
  const LeaseId lease(in.lease());
  switch (static_cast<Phase>(in.phase())) {
    case Phase::blocked:
      return Blocked{in.open(), in.text()};
    case Phase::ready:
      return Ready{};
    case Phase::leased:
      return Leased{lease};
    case Phase::running:
      return Running{lease};
    case Phase::stopping:
      return Stopping{lease, in.text()};
    case Phase::limiting:
      return Limiting{lease, in.text()};
    case Phase::cancelling:
      return Cancelling{lease, in.text()};
    case Phase::backoff:
      return Backoff{in.until_wall_ms(), in.delay_ms(), in.text()};
    case Phase::succeeded:
      return Succeeded{get(in.outcome()), ResultMark{in.mark().key(), in.mark().tree(), in.mark().seq(),
                                                     in.mark().made_secs(), in.mark().source()}};
    case Phase::failed:
      return Failed{in.error_class(), in.text()};
    case Phase::diverged:
      return Diverged{in.text()};
    case Phase::stopped:
      return Stopped{get(in.outcome()), in.text()};
    case Phase::cancelled:
      return Cancelled{in.text()};
    case Phase::skipped:
      return Skipped{in.text()};
    case Phase::paused:
      return Paused{};
    case Phase::pausing:
      return Pausing{lease, in.text()};
  }
  return Skipped{};  // the phase was checked
}

Checkpoints checkpoints_of(State& state, const snapshot::Job& in) {
  Checkpoints kept;
  if (in.has_latest()) kept.latest = state.kept(get(in.latest()));
  if (in.has_older()) kept.older = state.kept(get(in.older()));
  for (const snapshot::Checkpoint& earlier : in.earlier()) kept.earlier.push_back(state.kept(get(earlier)));
  if (!in.has_best_checkpoint()) return kept;
  const Checkpoint best = get(in.best_checkpoint());
  for (const KeptCheckpoint& one : all_of(kept)) {
    if (one->whole() == best) kept.best = one;
  }
  if (!kept.best) kept.best = state.kept(best);
  return kept;
}

bool has_checkpoints(const snapshot::Job& in) {
  return in.has_latest() || in.has_older() || in.has_best_checkpoint() || in.earlier_size() != 0;
}

bool has_progress(const snapshot::Job& in) {
  return in.started_ms() != 0 || !in.device().empty() || in.epoch() != 0 || in.step() != 0 || in.has_objective() ||
         in.has_best() || in.best_epoch() != 0 || in.rung_values_size() != 0 || in.late_size() != 0 ||
         has_checkpoints(in);
}

void get(State& state, const snapshot::Job& in, Progress& seen) {
  seen.epoch = in.epoch(), seen.step = in.step();
  if (in.has_objective()) seen.objective = in.objective();
  if (in.has_best()) seen.best = in.best();
  seen.best_epoch = in.best_epoch();
  seen.rung_values.assign(in.rung_values().begin(), in.rung_values().end());
  if (has_checkpoints(in)) seen.checkpoints.edit() = checkpoints_of(state, in);
  for (const snapshot::LateMark& mark : in.late())
    seen.late.edit().push_back({mark.generation(), mark.attempt(), mark.sequence()});
  seen.started_ms = in.started_ms(), seen.device = state.common(in.device());
  for (const KeptCheckpoint& one : all_of(*seen.checkpoints)) ++state.checkpoint_uses[one->sha256];
}

void get(const snapshot::Job& in, Job& job) {
  job.state = state_of(in);
  job.generation = in.generation(), job.attempt = in.attempt();
  job.lease = LeaseId(in.lease()), job.sequence = in.sequence();
  job.failures = in.failures(), job.losses = in.losses(), job.suspect = in.suspect();
  job.foreign = in.foreign(), job.fresh = in.fresh();
  job.handing_back = in.handing_back();
  for (const std::uint64_t input : in.inputs()) job.inputs.emplace_back(input);
  job.open_dependents = in.open_dependents();
  job.worker = WorkerNumber(in.worker());
}

// From the queue and counter that add_sweep() put a new job in to those of its restored state.
void move_index(State& state, Sweep& sweep, const Job& job, Phase from, bool aside) {
  const Phase to = phase_of(job);
  Counts& stage = sweep.stage_counts[sweep.plan->jobs[job.index].stage];
  --sweep.counts[static_cast<std::size_t>(from)], --stage[static_cast<std::size_t>(from)];
  ++sweep.counts[static_cast<std::size_t>(to)], ++stage[static_cast<std::size_t>(to)];
  if (from == Phase::ready) take_out(state, sweep, job);
  if (to == Phase::ready && aside) sweep.aside.insert(job.index);
  if (to == Phase::ready && !aside) put_in_queue(state, sweep, job);
  if (to == Phase::succeeded) know_result(state, job);
  if (!is_active(to)) return;
  sweep.active.insert(job.index);
  begin_training(state, sweep, job);
}

// As the end of each job did.
void end_settings(State& state, Sweep& sweep) {
  if (sweep.group_of.empty()) return;
  for (sweeps::JobIndex index = 0; index < sweep.plan->jobs.size(); ++index) {
    if (sweep.group_of[index] != kNoGroup && sweep.setting_of[index] == index)
      end_in_group(state, sweep, sweep.jobs[index]);
  }
}

void end_restored(State& state, Sweep& sweep) {
  end_settings(state, sweep);
  if (sweep.outcome.empty()) return;
  drop_move_indexes(sweep);
  state.sweeps.ended(sweep.number);
}

}  // namespace

Restorer::Restorer(Plans plans, SweepNumber alone) : plans_(std::move(plans)), alone_(true) {
  state_.sweeps = SweepTable(alone);
  head_.set_version(kSnapshotVersion);
}

Status Restorer::take(const snapshot::Record& record) {
  if (record.has_head() == (head_.version() != 0)) return damaged("it has no head, or two");
  if (!record.has_jobs()) FATHOM_TRY(end_sweep());
  switch (record.payload_case()) {
    case snapshot::Record::kHead:
      return take_head(record.head());
    case snapshot::Record::kSweep:
      return take_sweep(record);
    case snapshot::Record::kJobs:
      return take_jobs(record);
    case snapshot::Record::kWorker:
      return take_worker(record.worker());
    case snapshot::Record::kLease:
      return take_lease(record.lease());
    case snapshot::Record::kPending:
      take_pending(record.pending());
      return success();
    case snapshot::Record::kFinalFiles:
      return success();
    case snapshot::Record::kEnd:
      digest_ = record.end().digest();
      return success();
    case snapshot::Record::PAYLOAD_NOT_SET:
      break;
  }
  return damaged("it has a record of a kind that this version does not know");
}

Status Restorer::take_head(const snapshot::Head& head) {
  if (head.version() != kSnapshotVersion) return Error{Errc::unsupported, "a snapshot of another version"};
  head_ = head;
  state_.seq = head.seq(), state_.epoch = head.epoch(), state_.next_lease = head.next_lease();
  state_.grants = head.grants(), state_.wall_ms = head.wall_ms();
  for (const std::uint64_t job : head.pinned()) state_.pinned.emplace(job);
  for (const snapshot::ShareClock& clock : head.clocks()) state_.share_clock.emplace(clock.priority(), clock.turn());
  state_.next_notice = head.next_notice();
  for (const snapshot::Notice& in : head.notices()) {
    state_.notices.emplace(in.number(), Notice{in.seq(), SweepNumber(in.sweep()), JobNumber(in.job()), in.what(),
                                               in.hook(), in.wall_ms()});
  }
  return success();
}

Status Restorer::take_sweep(const snapshot::Record& record) {
  const snapshot::Sweep& in = record.sweep();
  if (!alone_ && in.first_job() != state_.jobs() + 1) return damaged("sweep " + in.id() + " has jobs of another");
  coming_ = {in.first_job(), in.submitted_seq(), 0, in.jobs(), 0, {}, {}};
  if (in.away() == 0 || !state_.sweeps.has_shelf()) return take_whole(in);
  if (in.outcome().empty()) return damaged("sweep " + in.id() + " was put away before its end");
  coming_.away = in.away();
  const SweepNumber number(static_cast<std::uint32_t>(state_.sweeps.size() + 1));
  state_.sweep_by_id.emplace(in.id(), number);
  if (!in.idempotency_key().empty()) state_.sweep_by_key.emplace(in.idempotency_key(), number);
  snapshot::Record own = record;
  own.mutable_sweep()->clear_away();  // said by who has it
  add_framed(own, coming_.bytes);
  return success();
}

Status Restorer::end_sweep() {
  if (coming_.came != coming_.jobs) return damaged("it lacks jobs of a sweep");
  if (coming_.away != 0) {
    FATHOM_ASSIGN(const std::uint64_t place, state_.sweeps.put(coming_.bytes));
    state_.sweeps.add_away(JobNumber(coming_.first), coming_.jobs, coming_.submitted, {place, coming_.away},
                           coming_.counts);
  }
  coming_ = {};
  return success();
}

Status Restorer::take_whole(const snapshot::Sweep& in) {
  FATHOM_ASSIGN(const PlanPtr plan, plans_(in.submitted_seq()));
  if (plan->jobs.size() != in.jobs()) return damaged("sweep " + in.id() + " has another number of jobs than its plan");
  event::SweepSubmitted submitted;
  submitted.set_id(in.id()), submitted.set_first_job(in.first_job());
  submitted.set_idempotency_key(in.idempotency_key());
  add_sweep(state_, submitted, in.submitted_ms(), plan);
  Sweep& sweep = state_.sweeps.back();
  state_.sweeps.submitted(in.submitted_seq());
  sweep.content = in.content();
  sweep.ended_ms = in.ended_ms(), sweep.outcome = in.outcome();
  if (in.has_cancel_cause()) sweep.cancel_cause = in.cancel_cause();
  sweep.cancelled_by_limit = in.cancelled_by_limit();
  sweep.finishing = in.finishing();
  sweep.priority = in.priority(), sweep.wall_from_ms = in.wall_from_ms();
  sweep.limits = {in.concurrency(), in.wall_seconds(), in.job_wall_seconds(), in.failed()};
  sweep.weight = in.weight(), sweep.share = in.share(), sweep.passed_from = in.passed_from();
  for (const snapshot::Reopened& reopened : in.reopened()) sweep.reopened.emplace(reopened.key(), reopened.jobs());
  if (in.has_paused_ms()) sweep.paused_ms = in.paused_ms();
  sweep.base_sha256 = in.base_sha256();
  if (in.took_us_size() != 0) {
    if (static_cast<std::size_t>(in.took_us_size()) != sweep.took_us.size()) return damaged("times of no stage");
    std::ranges::copy(in.took_us(), sweep.took_us.begin());
  }
  for (const snapshot::Binding& bound : in.bindings()) sweep.bindings[bound.task()].data_sha256 = bound.data_sha256();
  if (!sweep.outcome.empty()) state_.open_sweeps.erase(sweep.number);
  for (const snapshot::RungEntry& entry : in.rungs()) {
    if (entry.group() >= sweep.groups.size()) return damaged("a rung of no group");
    StopGroup& group = sweep.groups[entry.group()];
    const auto setting = group.settings.find(entry.job());
    if (setting == group.settings.end()) return damaged("a rung of no setting");
    group.stopper.restore({entry.job(), entry.rung(), entry.value(), entry.keep_going(), entry.held()});
    setting->second.judged = entry.rung() + 1;
    setting->second.stopped = setting->second.stopped || !entry.keep_going();
    setting->second.waiting = entry.held() && group.stopper.pauses();
  }
  return success();
}

Status Restorer::take_jobs(const snapshot::Record& record) {
  const snapshot::Jobs& in = record.jobs();
  if (static_cast<std::size_t>(in.jobs_size()) > coming_.jobs - coming_.came)
    return damaged("it has more jobs than its sweeps");
  for (const snapshot::Job& saved : in.jobs()) {
    if (saved.phase() >= kPhases) return damaged("a job in no phase");
    const std::uint32_t index = coming_.came++;
    if (coming_.away != 0) {
      FATHOM_TRY(know_away(saved, JobNumber(coming_.first + index)));
    } else {
      FATHOM_TRY(take_job(saved, state_.sweeps.back(), index));
    }
  }
  if (coming_.away != 0) add_framed(record, coming_.bytes);
  return success();
}

Status Restorer::take_job(const snapshot::Job& saved, Sweep& sweep, sweeps::JobIndex index) {
  Job& job = sweep.jobs[index];
  const Phase from = phase_of(job);
  get(saved, job);
  if (has_progress(saved)) get(state_, saved, job.progress.edit());
  // Before the indexes, which know the job by it.
  if (!saved.point().empty()) FATHOM_TRY(know_drawn(state_, sweep, index, saved.point()));
  move_index(state_, sweep, job, from, saved.aside());
  return success();
}

// What the indexes that all sweeps share have of a job.
Status Restorer::know_away(const snapshot::Job& saved, JobNumber number) {
  if (!is_terminal(static_cast<Phase>(saved.phase()))) return damaged("a job was put away before its end");
  ++coming_.counts[saved.phase()];
  const sweeps::JobId asked(saved.asked());
  const snapshot::ResultMark& mark = saved.mark();
  if (mark.key() != 0 && mark.source() == 0)
    add_result(state_, asked, {mark.key(), mark.tree(), mark.seq(), mark.made_secs(), 0}, number);
  if (!saved.point().empty()) state_.drawn.emplace(asked, number);
  const auto use = [&](const snapshot::Checkpoint& kept) { ++state_.checkpoint_uses[SmallText(kept.file().sha256())]; };
  if (saved.has_latest()) use(saved.latest());
  if (saved.has_older()) use(saved.older());
  if (saved.has_best_checkpoint()) use(saved.best_checkpoint());
  for (const snapshot::Checkpoint& kept : saved.earlier()) use(kept);
  return success();
}

Status Restorer::take_worker(const snapshot::Worker& in) {
  if (in.state() > static_cast<std::uint32_t>(WorkerState::gone)) return damaged("a worker in no state");
  Worker& worker = state_.workers.emplace_back();
  worker.number = WorkerNumber(static_cast<std::uint32_t>(state_.workers.size()));
  worker.uid = in.uid(), worker.name = in.name();
  worker.state = static_cast<WorkerState>(in.state()), worker.unfit = in.unfit();
  for (const snapshot::Device& device : in.devices()) {
    const event::Device& own = device.device();
    worker.devices.push_back(
        {{own.name(), own.kind(), own.threads(), own.slots(), own.model(), own.memory(), own.bf16(), own.ahead()},
         0,
         false,
         device.warm_model(),
         device.warm_task(),
         device.strikes(),
         device.excluded()});
  }
  state_.worker_by_uid.emplace(worker.uid, worker.number);
  return success();
}

Status Restorer::take_lease(const snapshot::Lease& in) {
  const Job* job = state_.job(JobNumber(in.job()));
  Worker* worker = state_.worker(WorkerNumber(in.worker()));
  if (job == nullptr || worker == nullptr) return damaged("a lease of no job or worker");
  const LeaseId id(in.lease());
  Lease& lease = state_.leases[id];
  lease.fence = {job->number, job->generation, job->attempt, id};
  lease.worker = worker->number, lease.alone = in.alone();
  for (const std::uint32_t place : in.devices()) {
    if (place >= worker->devices.size()) return damaged("a lease on no device");
    lease.devices.push_back(place);
    DeviceState& device = worker->devices[place];
    ++device.running;
    device.alone = device.alone || in.alone();
  }
  worker->leases.insert(id);
  return success();
}

void Restorer::take_pending(const snapshot::Pending& in) {
  pending_ = true;
  state_.pending = {};
  for (const std::uint64_t job : in.resolve()) state_.pending.resolve.emplace(job);
  for (const snapshot::Setting& setting : in.judge())
    state_.pending.judge.emplace(SweepNumber(setting.sweep()), setting.job());
  for (const snapshot::Group& group : in.overdue())
    state_.pending.overdue.emplace(SweepNumber(group.sweep()), group.group());
  for (const std::uint64_t job : in.stop()) state_.pending.stop.emplace(job);
  for (const std::uint64_t job : in.pause()) state_.pending.pause.emplace(job);
  for (const std::uint64_t job : in.clone()) state_.pending.clone.emplace(job);
  for (const std::uint64_t job : in.resume()) state_.pending.resume.emplace(job);
  for (const std::uint32_t sweep : in.check()) state_.pending.check.emplace(sweep);
  for (const std::uint64_t job : in.withdraw()) state_.pending.withdraw.emplace(job);
  for (const std::uint64_t job : in.fetch()) state_.pending.fetch.emplace(job);
  for (const std::uint64_t job : in.recall()) state_.pending.recall.emplace(job);
}

Result<State> Restorer::finish() {
  FATHOM_TRY(end_sweep());
  for (const auto& [number, notice] : state_.notices) {
    const std::uint32_t at = notice.sweep.value() - 1;
    const bool known = at < state_.sweeps.size() && !state_.sweeps.away(at);
    if (!known || notice.hook >= state_.sweeps[at].plan->notify.size()) return damaged("a message of no sweep");
  }
  if (digest_.empty() || !pending_ || state_.jobs() != head_.jobs()) return damaged("it is not whole");
  for (const Worker& worker : state_.workers) index_worker(state_, worker);
  for (std::size_t i = 0; i < state_.sweeps.size(); ++i) {
    if (!state_.sweeps.away(i)) end_restored(state_, state_.sweeps[i]);
  }
  state_.outside.clear();
  for (const SweepNumber number : state_.open_sweeps) {
    for (const Job& job : state_.sweep(number)->jobs) {
      if (phase_of(job) == Phase::blocked) watch_outside(state_, job);
    }
  }
  return std::move(state_);
}

Result<std::unique_ptr<Sweep>> Restorer::finish_sweep() {
  FATHOM_TRY(end_sweep());
  if (state_.sweeps.size() != 1) return damaged("it is not of one sweep");
  end_restored(state_, state_.sweeps.front());
  return state_.sweeps.release();
}

}  // namespace fathom::core
