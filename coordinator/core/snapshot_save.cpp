#include <utility>

#include "coordinator/core/inspect.hpp"
#include "coordinator/core/snapshot.hpp"

namespace fathom::core {
namespace {

constexpr std::size_t kJobsInARecord = 1024;

void put(const File& file, event::File& out) {
  out.set_path(file.path);
  out.set_sha256(file.sha256);
  out.set_size(file.size);
}

void put(const Checkpoint& checkpoint, snapshot::Checkpoint& out) {
  out.set_epoch(checkpoint.epoch);
  out.set_step(checkpoint.step);
  put(checkpoint.file, *out.mutable_file());
  out.set_objective(checkpoint.objective);
  out.set_best(checkpoint.best);
}

void put(const Outcome& outcome, snapshot::Outcome& out) {
  if (outcome.objective) out.set_objective(*outcome.objective);
  out.set_epoch(outcome.epoch);
  out.set_has_files(outcome.has_files);
  for (const File& file : *outcome.files) put(file, *out.add_files());
}

// The data of each state. States that hold a lease hold the job's own.
struct PutState {
  snapshot::Job& out;
  void operator()(const Blocked& s) const { out.set_open(s.open), out.set_text(s.missing.str()); }
  void operator()(const Ready&) const {}
  void operator()(const Leased&) const {}
  void operator()(const Running&) const {}
  void operator()(const Stopping& s) const { out.set_text(s.text.str()); }
  void operator()(const Limiting& s) const { out.set_text(s.text.str()); }
  void operator()(const Cancelling& s) const { out.set_text(s.cause.str()); }
  void operator()(const Backoff& s) const {
    out.set_until_wall_ms(s.until_wall_ms), out.set_delay_ms(s.delay_ms), out.set_text(s.why.str());
  }
  void operator()(const Succeeded& s) const {
    put(*s.outcome, *out.mutable_outcome());
    snapshot::ResultMark& mark = *out.mutable_mark();
    mark.set_key(s.mark->key), mark.set_tree(s.mark->tree), mark.set_seq(s.mark->seq);
    mark.set_made_secs(s.mark->made_secs), mark.set_source(s.mark->source);
  }
  void operator()(const Failed& s) const { out.set_error_class(s.error_class.str()), out.set_text(s.message.str()); }
  void operator()(const Diverged& s) const { out.set_text(s.message.str()); }
  void operator()(const Stopped& s) const { put(*s.outcome, *out.mutable_outcome()), out.set_text(s.text.str()); }
  void operator()(const Cancelled& s) const { out.set_text(s.cause.str()); }
  void operator()(const Skipped& s) const { out.set_text(s.why.str()); }
  void operator()(const Paused&) const {}
  void operator()(const Pausing& s) const { out.set_text(s.text.str()); }
};

void put(const Progress& seen, snapshot::Job& out) {
  out.set_epoch(seen.epoch), out.set_step(seen.step);
  if (seen.objective) out.set_objective(*seen.objective);
  if (seen.best) out.set_best(*seen.best);
  out.set_best_epoch(seen.best_epoch);
  for (const double value : seen.rung_values) out.add_rung_values(value);
  const Checkpoints& kept = *seen.checkpoints;
  if (kept.latest) put(kept.latest->whole(), *out.mutable_latest());
  if (kept.older) put(kept.older->whole(), *out.mutable_older());
  for (const KeptCheckpoint& earlier : kept.earlier) put(earlier->whole(), *out.add_earlier());
  if (kept.best) put(kept.best->whole(), *out.mutable_best_checkpoint());
  for (const LateMark& mark : *seen.late) {
    snapshot::LateMark& late = *out.add_late();
    late.set_generation(mark.generation), late.set_attempt(mark.attempt), late.set_sequence(mark.sequence);
  }
  out.set_started_ms(seen.started_ms), out.set_device(seen.device.str());
}

void put(const Job& job, snapshot::Job& out) {
  out.set_phase(static_cast<std::uint32_t>(phase_of(job)));
  std::visit(PutState{out}, job.state);
  out.set_generation(job.generation), out.set_attempt(job.attempt);
  out.set_lease(job.lease.value()), out.set_sequence(job.sequence);
  out.set_failures(job.failures), out.set_losses(job.losses), out.set_suspect(job.suspect);
  out.set_foreign(job.foreign), out.set_fresh(job.fresh);
  out.set_handing_back(job.handing_back);
  for (const JobNumber input : job.inputs) out.add_inputs(input.value());
  out.set_open_dependents(job.open_dependents);
  out.set_worker(job.worker.value());
  if (job.progress) put(*job.progress, out);
}

void put(const Sweep& sweep, snapshot::Sweep& out) {
  out.set_submitted_seq(sweep.submitted_seq);
  out.set_id(sweep.id);
  out.set_first_job(sweep.first.value());
  out.set_jobs(static_cast<std::uint32_t>(sweep.plan->jobs.size()));
  out.set_idempotency_key(sweep.idempotency_key);
  out.set_content(sweep.content);
  out.set_submitted_ms(sweep.submitted_ms), out.set_ended_ms(sweep.ended_ms);
  if (sweep.cancel_cause) out.set_cancel_cause(*sweep.cancel_cause);
  out.set_cancelled_by_limit(sweep.cancelled_by_limit);
  out.set_finishing(sweep.finishing);
  out.set_outcome(sweep.outcome);
  out.set_priority(sweep.priority), out.set_concurrency(sweep.limits.concurrency);
  out.set_wall_seconds(sweep.limits.wall_seconds), out.set_job_wall_seconds(sweep.limits.job_wall_seconds);
  out.set_failed(sweep.limits.failed), out.set_wall_from_ms(sweep.wall_from_ms);
  out.set_weight(sweep.weight), out.set_share(sweep.share), out.set_passed_from(sweep.passed_from);
  for (const auto& [key, jobs] : sweep.reopened) {
    snapshot::Reopened& reopened = *out.add_reopened();
    reopened.set_key(key), reopened.set_jobs(jobs);
  }
  if (sweep.paused_ms) out.set_paused_ms(*sweep.paused_ms);
  out.set_base_sha256(sweep.base_sha256);
  for (const std::int64_t took : sweep.took_us) out.add_took_us(took);
  for (const auto& [task, binding] : sweep.bindings) {
    snapshot::Binding& bound = *out.add_bindings();
    bound.set_task(task), bound.set_data_sha256(binding.data_sha256);
  }
  for (std::uint32_t group = 0; group < sweep.groups.size(); ++group) {
    for (const sweeps::Stopper::Entry& entry : sweep.groups[group].stopper.entries()) {
      snapshot::RungEntry& rung = *out.add_rungs();
      rung.set_group(group), rung.set_job(entry.job), rung.set_rung(entry.rung);
      rung.set_value(entry.value), rung.set_keep_going(entry.keep_going);
      rung.set_held(entry.held);
    }
  }
}

void put(const Worker& worker, snapshot::Worker& out) {
  out.set_uid(worker.uid), out.set_name(worker.name);
  out.set_state(static_cast<std::uint32_t>(worker.state)), out.set_unfit(worker.unfit);
  for (const DeviceState& device : worker.devices) {
    snapshot::Device& to = *out.add_devices();
    event::Device& own = *to.mutable_device();
    own.set_name(device.device.name), own.set_kind(device.device.kind);
    own.set_threads(device.device.threads), own.set_slots(device.device.slots);
    own.set_model(device.device.model), own.set_memory(device.device.memory);
    own.set_bf16(device.device.bf16), own.set_ahead(device.device.ahead);
    to.set_warm_model(device.model), to.set_warm_task(device.task);
    to.set_strikes(device.strikes), to.set_excluded(device.excluded);
  }
}

void put(const Lease& lease, snapshot::Lease& out) {
  out.set_lease(lease.fence.lease.value()), out.set_job(lease.fence.job.value());
  out.set_worker(lease.worker.value());
  for (const std::uint32_t device : lease.devices) out.add_devices(device);
  out.set_alone(lease.alone);
}

void put(const Pending& pending, snapshot::Pending& out) {
  for (const JobNumber job : pending.resolve) out.add_resolve(job.value());
  for (const auto& [sweep, job] : pending.judge) {
    snapshot::Setting& setting = *out.add_judge();
    setting.set_sweep(sweep.value()), setting.set_job(job);
  }
  for (const auto& [sweep, group] : pending.overdue) {
    snapshot::Group& overdue = *out.add_overdue();
    overdue.set_sweep(sweep.value()), overdue.set_group(group);
  }
  for (const JobNumber job : pending.stop) out.add_stop(job.value());
  for (const JobNumber job : pending.pause) out.add_pause(job.value());
  for (const JobNumber job : pending.clone) out.add_clone(job.value());
  for (const JobNumber job : pending.resume) out.add_resume(job.value());
  for (const SweepNumber sweep : pending.check) out.add_check(sweep.value());
  for (const JobNumber job : pending.withdraw) out.add_withdraw(job.value());
  for (const JobNumber job : pending.fetch) out.add_fetch(job.value());
  for (const JobNumber job : pending.recall) out.add_recall(job.value());
}

void put(std::uint64_t number, const Notice& notice, snapshot::Notice& out) {
  out.set_number(number), out.set_seq(notice.seq), out.set_sweep(notice.sweep.value());
  out.set_job(notice.job.value()), out.set_what(notice.what), out.set_hook(notice.hook);
  out.set_wall_ms(notice.wall_ms);
}

void put(const Sweep& sweep, const Job& job, snapshot::Job& out) {
  put(job, out);
  const auto* done = std::get_if<Succeeded>(&job.state);
  if (const auto drawn = sweep.drawn.find(job.index); drawn != sweep.drawn.end()) {
    out.set_point(drawn->second.point);
    out.set_asked(drawn->second.id.value());
  } else if (done != nullptr && done->mark) {
    out.set_asked(sweep.plan->jobs[job.index].id.value());
  }
  out.set_aside(phase_of(job) == Phase::ready && sweep.aside.contains(job.index));
}

// One that is on the shelf is copied from there.
Status save_sweep_at(const SweepTable& sweeps, std::size_t at, const RecordSink& sink) {
  const auto away = sweeps.away(at);
  if (!away) return save_sweep(sweeps[at], sink);
  FATHOM_ASSIGN(const std::string bytes, sweeps.bytes_of(*away));
  return each_framed(bytes, [&](const snapshot::Record& record) -> Status {
    if (!record.has_sweep()) return sink(record);
    snapshot::Record first = record;
    first.mutable_sweep()->set_away(away->digest);
    return sink(first);
  });
}

}  // namespace

Status save_sweep(const Sweep& sweep, const RecordSink& sink) {
  snapshot::Record record;
  put(sweep, *record.mutable_sweep());
  FATHOM_TRY(sink(record));
  for (std::size_t i = 0; i < sweep.jobs.size();) {
    const std::size_t end = std::min(sweep.jobs.size(), i + kJobsInARecord);
    for (record = {}; i < end; ++i) put(sweep, sweep.jobs[i], *record.mutable_jobs()->add_jobs());
    FATHOM_TRY(sink(record));
  }
  return success();
}

Status save(const State& state, snapshot::Head head, const RecordSink& sink) {
  head.set_version(kSnapshotVersion);
  head.set_seq(state.seq), head.set_epoch(state.epoch), head.set_next_lease(state.next_lease);
  head.set_jobs(state.jobs());
  head.set_grants(state.grants), head.set_wall_ms(state.wall_ms);
  for (const JobNumber job : state.pinned) head.add_pinned(job.value());
  for (const auto& [priority, turn] : state.share_clock) {
    snapshot::ShareClock& clock = *head.add_clocks();
    clock.set_priority(priority), clock.set_turn(turn);
  }
  head.set_next_notice(state.next_notice);
  for (const auto& [number, notice] : state.notices) put(number, notice, *head.add_notices());
  snapshot::Record record;
  *record.mutable_head() = std::move(head);
  FATHOM_TRY(sink(record));
  for (std::size_t i = 0; i < state.sweeps.size(); ++i) FATHOM_TRY(save_sweep_at(state.sweeps, i, sink));
  for (const Worker& worker : state.workers) {
    put(worker, *(record = {}).mutable_worker());
    FATHOM_TRY(sink(record));
  }
  for (const auto& [id, lease] : state.leases) {
    put(lease, *(record = {}).mutable_lease());
    FATHOM_TRY(sink(record));
  }
  put(state.pending, *(record = {}).mutable_pending());
  FATHOM_TRY(sink(record));
  (record = {}).mutable_end()->set_digest(digest(state));
  return sink(record);
}

}  // namespace fathom::core
