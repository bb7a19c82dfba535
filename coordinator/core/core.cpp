#include "coordinator/core/core.hpp"

#include <algorithm>
#include <stdexcept>

#include "coordinator/core/cache.hpp"
#include "coordinator/core/deciders.hpp"
#include "coordinator/core/needs.hpp"
#include "sweeps/plan.hpp"

namespace fathom::core {
namespace {

// The job that an event is about; 0: none, or a whole sweep.
std::uint64_t subject(const event::Event& e) {
  switch (e.payload_case()) {
    case event::Event::kJobCancelRequested:
      return e.job_cancel_requested().job();
    case event::Event::kNeedsResolved:
      return e.needs_resolved().job();
    case event::Event::kNeedsBound:
      return e.needs_bound().job();
    case event::Event::kCheckpointTaken:
      return e.checkpoint_taken().job();
    case event::Event::kNeedsMissing:
      return e.needs_missing().job();
    case event::Event::kJobSkipped:
      return e.job_skipped().job();
    case event::Event::kJobReady:
      return e.job_ready().job();
    case event::Event::kRungEntered:
      return e.rung_entered().job();
    case event::Event::kLeaseGranted:
      return e.lease_granted().fence().job();
    case event::Event::kLeaseExpired:
      return e.lease_expired().fence().job();
    case event::Event::kLeaseReleased:
      return e.lease_released().fence().job();
    case event::Event::kJobStarted:
      return e.job_started().fence().job();
    case event::Event::kReportRecorded:
      return e.report_recorded().fence().job();
    case event::Event::kJobResumed:
      return e.job_resumed().job();
    case event::Event::kPauseWished:
      return e.pause_wished().fence().job();
    case event::Event::kStopWished:
      return e.stop_wished().fence().job();
    case event::Event::kCheckpointCommitted:
      return e.checkpoint_committed().fence().job();
    case event::Event::kJobFinished:
      return e.job_finished().fence().job();
    case event::Event::kJobFailed:
      return e.job_failed().fence().job();
    case event::Event::kJobBackedOff:
      return e.job_backed_off().fence().job();
    case event::Event::kJobStopped:
      return e.job_stopped().fence().job();
    case event::Event::kLateItem:
      return e.late_item().fence().job();
    case event::Event::kJobReused:
      return e.job_reused().job();
    case event::Event::kReuseRefused:
      return e.reuse_refused().job();
    case event::Event::kResultPinned:
      return e.result_pinned().job();
    case event::Event::kPointDrawn:
      return e.point_drawn().job();
    case event::Event::kSetChosen:
      return e.set_chosen().job();
    case event::Event::kExploited:
      return e.exploited().job();
    default:
      return 0;
  }
}

// The due keys, taken out: what is still wanted afterwards is set again by an event.
template <class Key>
std::vector<Key> take_due(DeadlineQueue<Key>& queue, TimePoint now) {
  std::vector<Key> due = queue.due(now);
  for (const Key key : due) queue.erase(key);
  return due;
}

// Who submits a large sweep expands it on another thread and hands the plan over.
PlanPtr plan_given(const Command& command) {
  const auto* submit = std::get_if<SubmitSweep>(&command);
  return submit != nullptr ? submit->plan : nullptr;
}

constexpr std::uint64_t kManyJobs = 10'000;

// Nothing that is still to be done concerns it.
bool rests(const State& state, const Sweep& sweep) {
  const auto is_of = [&](const auto& notice) { return notice.second.sweep == sweep.number; };
  return sweep.active.empty() && !state.pending.check.contains(sweep.number) &&
         std::ranges::none_of(state.notices, is_of);
}

}  // namespace

void tidy(State& state, std::optional<TimePoint> now) {
  const std::uint64_t before = state.sweeps.jobs_away();
  state.sweeps.tidy(now, [&](const Sweep& sweep) { return rests(state, sweep); });
  // What stays of many lies among what they leave.
  if (state.sweeps.jobs_away() >= before + kManyJobs) state.results.pack();
}

Step Core::handle(const Command& command, Now now) {
  Due due;
  if (std::holds_alternative<Tick>(command)) {
    due = {take_due(timers_.leases, now.mono), take_due(timers_.backoffs, now.mono),
           take_due(timers_.job_walls, now.mono), take_due(timers_.walls, now.mono)};
  }
  Decision decision = decide(state_, command, due, options_, now);
  Step step;
  step.rejection = std::move(decision.rejection);
  step.answer = std::move(decision.answer);
  const PlanPtr plan = plan_given(command);
  // Events of one decision are about different things, so that each still holds after the ones before.
  for (event::Event& event : decision.events) apply(std::move(event), plan, now, step);
  if (std::holds_alternative<Start>(command)) timers_.restart(state_, options_.lease, now);
  renew(command, now);
  // Without an event nothing has changed that could make anything follow.
  if (!step.events.empty()) settle(now, step);
  if (std::holds_alternative<ResultsRead>(command)) reading_ = false;
  read_results(step);
  std::ranges::move(decision.replies, std::back_inserter(step.effects));
  return step;
}

// Grants come last: whatever a verdict or a limit stops must not get the slot. A grant may end what others paused for.
void Core::settle(Now now, Step& step) {
  while (true) {
    while (std::optional<event::Event> event = follow_up(state_)) apply(std::move(*event), nullptr, now, step);
    std::optional<event::Event> event = next_grant(state_);
    if (!event) return;
    apply(std::move(*event), nullptr, now, step);
  }
}

void Core::apply(event::Event event, const PlanPtr& plan, Now now, Step& step) {
  event.set_seq(state_.seq + 1);
  event.set_wall_ms(now.wall.time_since_epoch().count());
  event.set_version(kEventVersion);
  event.set_job(subject(event));
  // The phase is not set yet: it is what evolve() makes of it now, and what a replay is held to.
  if (const Status status = evolve(state_, event, plan); !status) {
    throw std::logic_error("the core decided what it cannot apply: " + status.error().message);
  }
  if (const Job* job = state_.job(JobNumber(event.job()))) event.set_phase(static_cast<event::Phase>(phase_of(*job)));
  timers_.observe(state_, event, options_.lease, now);
  paces_.observe(state_, event, now.mono);
  std::ranges::move(effects(state_, event), std::back_inserter(step.effects));
  step.events.push_back(std::move(event));
}

// One batch at a time, so that a large sweep of known results does not fill a queue.
void Core::read_results(Step& step) {
  if (reading_ || (state_.pending.recall.empty() && state_.pending.fetch.empty())) return;
  ReadResults read;
  // A job's inputs all in one.
  for (const JobNumber number : state_.pending.fetch) {
    if (read.wanted.size() >= kResultsAtOnce) break;
    std::ranges::move(files_to_read(state_, *state_.job(number)), std::back_inserter(read.wanted));
  }
  for (const JobNumber number : state_.pending.recall) {
    if (read.wanted.size() >= kResultsAtOnce) break;
    const Job& job = *state_.job(number);
    const KnownResult* source = known_result(state_, job, result_key(state_, job));
    const JobNumber from(source == nullptr ? 0 : source->job);  // too old meanwhile: refused
    read.wanted.push_back({number, from, source == nullptr ? 0 : source->seq});
  }
  if (read.wanted.empty()) return;
  reading_ = true;
  step.effects.emplace_back(std::move(read));
}

// Outside the log: a renewal is a promise of this process to itself.
void Core::renew(const Command& command, Now now) {
  const auto renew_held = [&](WorkerNumber worker, const std::vector<Held>& all) {
    for (const Held& held : all) {
      if (lease_of(state_, worker, held.fence) != nullptr)
        timers_.leases.set(held.fence.lease, now.mono + options_.lease);
    }
  };
  if (const auto* beat = std::get_if<Heartbeat>(&command)) renew_held(beat->worker, beat->held);
  if (const auto* hello = std::get_if<WorkerHello>(&command)) {
    const auto known = state_.worker_by_uid.find(hello->uid);
    if (known != state_.worker_by_uid.end()) renew_held(known->second, hello->held);
  }
}

}  // namespace fathom::core
