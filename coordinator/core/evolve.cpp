// The only way the state changes. Sweeps, needs and verdicts are here; items and leases in their own files.
#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/planted.hpp"
#include "coordinator/core/core.hpp"
#include "coordinator/core/handlers.hpp"
#include "coordinator/core/machine.hpp"
#include "coordinator/core/notices.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::core {
namespace {

Error corrupt(std::string why) { return Error{Errc::corrupt, std::move(why)}; }

// The one event that is not taken as it is: the plan is made from the resolved text, which the version in it fixes.
Status on_submitted(State& state, const event::SweepSubmitted& event, At at, PlanPtr plan) {
  if (!plan) {
    FATHOM_ASSIGN(plan, expand_again(event));
  }
  if (event.sweep() != state.sweeps.size() + 1 || event.first_job() != state.jobs() + 1) {
    return corrupt("numbers of sweeps and jobs are dense; " + event.id() + " has others");
  }
  if (plan->jobs.size() != event.jobs() || plan->jobs.empty()) {
    return corrupt("sweep " + event.id() + " had " + std::to_string(event.jobs()) + " jobs, expands to " +
                   std::to_string(plan->jobs.size()));
  }
  add_sweep(state, event, at.wall_ms, std::move(plan));
  return success();
}

Status on(State& state, const event::SweepCancelRequested& event, At) {
  Sweep* sweep = state.sweep(SweepNumber(event.sweep()));
  if (sweep == nullptr) return corrupt("there is no sweep " + std::to_string(event.sweep()));
  sweep->cancel_cause = event.cause();
  sweep->cancelled_by_limit = event.by_limit();
  sweep->finishing = event.finish();
  const SmallText cause = event.cause();  // one for all of them
  // From the last to the first: a dependent ends before its inputs do, so no need is resolved in between.
  for (std::size_t i = sweep->plan->jobs.size(); i-- > 0;) {
    Job& job = sweep->jobs[i];
    if (event.finish() && !is_waiting(phase_of(job))) continue;
    if (next(phase_of(job), Move::wish_cancel)) FATHOM_TRY(move_job(state, job, Move::wish_cancel, {.text = cause}));
  }
  mark_sweep(state, *sweep);  // limits.failed has been acted on
  return success();
}

void pause(const State& state, Sweep& sweep, bool paused, At at) {
  if (paused) {
    sweep.paused_ms = at.wall_ms;
  } else if (sweep.paused_ms) {
    // The clock of people may have been set back meanwhile.
    sweep.wall_from_ms += std::max<std::int64_t>(0, at.wall_ms - *sweep.paused_ms);
    sweep.paused_ms.reset();
  }
  sweep.passed_from = state.grants;  // nobody else kept it waiting meanwhile
}

Status on(State& state, const event::SweepChanged& event, At at) {
  Sweep* sweep = state.sweep(SweepNumber(event.sweep()));
  if (sweep == nullptr) return corrupt("there is no sweep " + std::to_string(event.sweep()));
  if (event.has_paused()) pause(state, *sweep, event.paused(), at);
  if (event.now()) {
    for (const sweeps::JobIndex index : sweep->active) {
      Job& job = sweep->jobs[index];
      job.handing_back = phase_of(job) == Phase::leased || phase_of(job) == Phase::running;
    }
  }
  if (event.has_priority()) {
    sweep->priority = event.priority();
    sweep->share = 0;  // each priority has a clock of its own
  }
  if (event.has_weight()) sweep->weight = event.weight();
  if (event.has_concurrency()) sweep->limits.concurrency = event.concurrency();
  if (event.has_wall_seconds()) sweep->limits.wall_seconds = event.wall_seconds();
  if (event.has_job_wall_seconds()) sweep->limits.job_wall_seconds = event.job_wall_seconds();
  if (event.has_failed()) sweep->limits.failed = event.failed();
  mark_sweep(state, *sweep);  // more may have failed than may now
  return success();
}

Status on(State& state, const event::SweepEnded& event, At at) {
  Sweep* sweep = state.sweep(SweepNumber(event.sweep()));
  if (sweep == nullptr) return corrupt("there is no sweep " + std::to_string(event.sweep()));
  sweep->outcome = event.outcome();
  sweep->ended_ms = at.wall_ms;
  state.open_sweeps.erase(sweep->number);
  state.sweeps.ended(sweep->number);
  drop_move_indexes(*sweep);
  mark_sweep(state, *sweep);
  note(state, *sweep, sweep->outcome == "succeeded" ? "done" : sweep->outcome, JobNumber(), at);
  return success();
}

Status on(State& state, const event::CoordinatorStarted& event, At) {
  state.epoch = event.epoch();
  // Connections ended with the coordinator before; leases go on until a worker is back or they expire.
  for (Worker& worker : state.workers) {
    unindex_worker(state, worker);
    worker.state = WorkerState::gone;
    worker.unfit.clear();
  }
  return success();
}

Status on(State& state, const event::LogRepaired& event, At) {
  if (event.epoch() < state.epoch || event.next_lease() < state.next_lease) {
    return corrupt("numbers of epochs and leases only grow; the repair's are smaller");
  }
  state.epoch = event.epoch();
  state.next_lease = event.next_lease();
  return success();
}

// For events about a job that no attempt caused.
template <class Event>
Result<Job*> job_of(State& state, const Event& event) {
  Job* job = state.job(JobNumber(event.job()));
  if (job == nullptr) return corrupt("there is no job " + std::to_string(event.job()));
  return job;
}

Status on(State& state, const event::JobCancelRequested& event, At) {
  FATHOM_ASSIGN(Job * job, job_of(state, event));
  return move_job(state, *job, Move::wish_cancel, {.text = event.cause()});
}

// What was chosen is in the event: select() may change, an old log may not.
Status on(State& state, const event::NeedsResolved& event, At) {
  FATHOM_ASSIGN(Job * job, job_of(state, event));
  if (static_cast<std::size_t>(event.inputs_size()) != state.planned(*job).needs.size()) {
    return corrupt("job " + std::to_string(event.job()) + " has another number of needs");
  }
  // Before the move: where the job goes depends on what it is made from.
  job->inputs.clear();
  for (const event::Input& input : event.inputs()) job->inputs.emplace_back(input.job());
  return move_job(state, *job, Move::resolve);
}

// …of other sweeps, too: their files are in the event, since the state has forgotten them.
Status on(State& state, const event::NeedsBound& event, At) {
  FATHOM_ASSIGN(Job * job, job_of(state, event));
  if (static_cast<std::size_t>(event.inputs_size()) != state.planned(*job).needs.size()) {
    return corrupt("job " + std::to_string(event.job()) + " has another number of needs");
  }
  std::vector<JobNumber> inputs;
  for (const event::BoundInput& input : event.inputs()) {
    if (state.job(JobNumber(input.job())) == nullptr)
      return corrupt("there is no job " + std::to_string(input.job()) + " to take");
    inputs.emplace_back(input.job());
  }
  // A job in another phase is refused by the move; nothing may have changed then.
  if (phase_of(*job) == Phase::blocked) {
    job->inputs = std::move(inputs);
    for (const event::BoundInput& input : event.inputs()) {
      Job& from = *state.job(JobNumber(input.job()));
      if (from.sweep != job->sweep) keep_input(from, files_of(input.files()));
    }
  }
  return move_job(state, *job, Move::resolve);
}

Status on(State& state, const event::JobSkipped& event, At) {
  FATHOM_ASSIGN(Job * job, job_of(state, event));
  return move_job(state, *job, event.fail() ? Move::fail_need : Move::skip,
                  {.error_class = "needs", .text = event.why()});
}

Status on(State& state, const event::NeedsMissing& event, At) {
  FATHOM_ASSIGN(Job * job, job_of(state, event));
  const auto* blocked = std::get_if<Blocked>(&job->state);
  return move_job(state, *job, Move::miss, {.text = event.why(), .open = blocked == nullptr ? 0 : blocked->open});
}

Status on(State& state, const event::JobReady& event, At) {
  FATHOM_ASSIGN(Job * job, job_of(state, event));
  return move_job(state, *job, Move::wake);
}

Status on(State& state, const event::RungEntered& event, At) {
  FATHOM_ASSIGN(Job * job, job_of(state, event));
  Sweep& sweep = *state.sweep(job->sweep);
  if (!is_grouped(sweep, *job)) return corrupt("the job is in no group");
  // I9: a verdict is given once, and in the order of the rungs.
  const std::uint32_t number = sweep.group_of[job->index];
  StopGroup& group = sweep.groups[number];
  const auto setting = group.settings.find(job->index);
  const bool known = setting != group.settings.end();
  const bool fits = known && (event.decided() ? setting->second.judged > event.rung()
                                              : setting->second.judged == event.rung() && !setting->second.stopped &&
                                                    !setting->second.waiting);
  if (!fits) {
    return corrupt("rung " + std::to_string(event.rung()) + " of job " + std::to_string(event.job()) +
                   " is judged once");
  }
  group.stopper.restore({job->index, event.rung(), event.value(), event.keep_going(), event.held()});
  if (planted(PlantedBug::double_rung)) {
    group.stopper.restore({job->index + 1, event.rung(), event.value(), event.keep_going(), event.held()});
  }
  if (!event.decided()) setting->second.judged = event.rung() + 1;
  setting->second.stopped = setting->second.stopped || !event.keep_going();
  setting->second.waiting = event.held() && group.stopper.pauses();
  mark_setting(state, sweep, group, job->index);
  mark_overdue(state, sweep, number);
  return success();
}

Status on(State& state, const event::StopWished& event, At) {
  FATHOM_ASSIGN(Job * job, attempt_of(state, event.fence()));
  // One that waits for its next attempt ends here with the best that was seen.
  const Move move = event.cause() == "limit" ? Move::wish_limit : Move::wish_stop;
  return move_job(state, *job, move, {.text = event.text(), .outcome = seen(*job)});
}

Status on(State& state, const event::PauseWished& event, At) {
  FATHOM_ASSIGN(Job * job, attempt_of(state, event.fence()));
  return move_job(state, *job, Move::wish_pause, {.text = event.text()});
}

Status on(State& state, const event::JobResumed& event, At) {
  FATHOM_ASSIGN(Job * job, job_of(state, event));
  return move_job(state, *job, Move::resume);
}

Status apply_to_sweeps(State& state, const event::Event& event, At at, PlanPtr plan) {
  switch (event.payload_case()) {
    case event::Event::kCoordinatorStarted:
      return on(state, event.coordinator_started(), at);
    case event::Event::kSweepSubmitted:
      return on_submitted(state, event.sweep_submitted(), at, std::move(plan));
    case event::Event::kSweepCancelRequested:
      return on(state, event.sweep_cancel_requested(), at);
    case event::Event::kSweepChanged:
      return on(state, event.sweep_changed(), at);
    case event::Event::kJobsReopened:
      return on(state, event.jobs_reopened(), at);
    case event::Event::kSweepEnded:
      return on(state, event.sweep_ended(), at);
    case event::Event::kWorkerJoined:
      return on(state, event.worker_joined(), at);
    case event::Event::kWorkerDraining:
      return on(state, event.worker_draining(), at);
    case event::Event::kWorkerGone:
      return on(state, event.worker_gone(), at);
    case event::Event::kWorkerFit:
      return on(state, event.worker_fit(), at);
    case event::Event::kDeviceStruck:
      return on(state, event.device_struck(), at);
    case event::Event::kNoticeSettled:
      return on(state, event.notice_settled(), at);
    case event::Event::kLogRepaired:
      return on(state, event.log_repaired(), at);
    default:
      return Error{Errc::unsupported, "an event of a kind that this version does not know: use a newer fathom"};
  }
}

// One line for each payload, in the order of event.proto.
Status apply(State& state, const event::Event& event, At at, PlanPtr plan) {
  switch (event.payload_case()) {
    case event::Event::kJobCancelRequested:
      return on(state, event.job_cancel_requested(), at);
    case event::Event::kNeedsResolved:
      return on(state, event.needs_resolved(), at);
    case event::Event::kNeedsBound:
      return on(state, event.needs_bound(), at);
    case event::Event::kNeedsMissing:
      return on(state, event.needs_missing(), at);
    case event::Event::kJobSkipped:
      return on(state, event.job_skipped(), at);
    case event::Event::kJobReady:
      return on(state, event.job_ready(), at);
    case event::Event::kLeaseGranted:
      return on(state, event.lease_granted(), at);
    case event::Event::kLeaseExpired:
      return on(state, event.lease_expired(), at);
    case event::Event::kLeaseReleased:
      return on(state, event.lease_released(), at);
    case event::Event::kJobStarted:
      return on(state, event.job_started(), at);
    case event::Event::kReportRecorded:
      return on(state, event.report_recorded(), at);
    case event::Event::kRungEntered:
      return on(state, event.rung_entered(), at);
    case event::Event::kStopWished:
      return on(state, event.stop_wished(), at);
    case event::Event::kPauseWished:
      return on(state, event.pause_wished(), at);
    case event::Event::kJobResumed:
      return on(state, event.job_resumed(), at);
    case event::Event::kCheckpointCommitted:
      return on(state, event.checkpoint_committed(), at);
    case event::Event::kCheckpointTaken:
      return on(state, event.checkpoint_taken(), at);
    case event::Event::kJobFinished:
      return on(state, event.job_finished(), at);
    case event::Event::kJobFailed:
      return on(state, event.job_failed(), at);
    case event::Event::kJobBackedOff:
      return on(state, event.job_backed_off(), at);
    case event::Event::kJobStopped:
      return on(state, event.job_stopped(), at);
    case event::Event::kLateItem:
      return on(state, event.late_item(), at);
    case event::Event::kJobReused:
      return on(state, event.job_reused(), at);
    case event::Event::kReuseRefused:
      return on(state, event.reuse_refused(), at);
    case event::Event::kResultPinned:
      return on(state, event.result_pinned(), at);
    case event::Event::kPointDrawn:
      return on(state, event.point_drawn(), at);
    case event::Event::kSetChosen:
      return on(state, event.set_chosen(), at);
    case event::Event::kExploited:
      return on(state, event.exploited(), at);
    default:
      return apply_to_sweeps(state, event, at, std::move(plan));
  }
}

// The first job of a sweep that failed for good, since its begin or since a retry.
void note_failure(State& state, const event::Event& event) {
  const Job* job = state.job(JobNumber(event.job()));
  if (job == nullptr) return;
  const Phase phase = phase_of(*job);
  if (phase != Phase::failed && phase != Phase::diverged) return;
  const Sweep& sweep = *state.sweep(job->sweep);
  const auto count = [&](Phase of) { return sweep.counts[static_cast<std::size_t>(of)]; };
  if (count(Phase::failed) + count(Phase::diverged) == 1 && !event.has_late_item())
    note(state, sweep, "job_failed", job->number, {event.wall_ms()});
}

}  // namespace

Result<PlanPtr> expand_again(const event::SweepSubmitted& event) {
  if (event.expander_version() != sweeps::kExpanderVersion) {
    return Error{Errc::unsupported, "sweep " + event.id() + " was expanded by version " +
                                        std::to_string(event.expander_version()) + "; this build has version " +
                                        std::to_string(sweeps::kExpanderVersion)};
  }
  sweeps::Sweep sweep{nlohmann::json::parse(event.resolved(), nullptr, false)};
  if (sweep.resolved.is_discarded()) return corrupt("the resolved sweep " + event.id() + " is not JSON");
  FATHOM_ASSIGN(sweeps::Plan plan, sweeps::expand(sweep));
  return PlanPtr(std::make_shared<const sweeps::Plan>(std::move(plan)));
}

Status evolve(State& state, const event::Event& event, PlanPtr expanded) {
  const auto where = [&event] { return "event " + std::to_string(event.seq()) + ": "; };
  if (event.seq() != state.seq + 1) {
    return corrupt(where() + "expected " + std::to_string(state.seq + 1) + "; the log has a gap or was mixed up");
  }
  if (event.version() > kEventVersion) {
    return Error{Errc::unsupported,
                 where() + "written by a newer fathom (format " + std::to_string(event.version()) + ")"};
  }
  state.wall_ms = event.wall_ms();
  if (Status status = apply(state, event, {event.wall_ms(), event.seq()}, std::move(expanded)); !status) {
    const Errc code = status.error().code == Errc::unsupported ? Errc::unsupported : Errc::corrupt;
    return Error{code, where() + status.error().message};
  }
  note_failure(state, event);
  state.seq = event.seq();
  if (event.has_sweep_submitted()) state.sweeps.submitted(event.seq());
  // A replay by a version with another table would go another way here and is stopped.
  const Job* job = state.job(JobNumber(event.job()));
  if (job != nullptr && event.phase() != event::UNKNOWN &&
      static_cast<int>(event.phase()) != static_cast<int>(phase_of(*job))) {
    return corrupt(where() + "job " + std::to_string(event.job()) + " was " + event::Phase_Name(event.phase()) +
                   " after it when it was written, now it is " + name_of(phase_of(*job)));
  }
  return success();
}

}  // namespace fathom::core
