#include "coordinator/core/timers.hpp"

#include <algorithm>

#include "coordinator/core/event.pb.h"
#include "coordinator/core/state.hpp"

namespace fathom::core {
namespace {

// What is left of a span that began at a wall time, between nothing and all of it: the wall clock may have jumped.
Millis rest_of(Millis span, std::int64_t began_ms, Now now) {
  const Millis passed(now.wall.time_since_epoch().count() - began_ms);
  return std::clamp(span - passed, Millis(0), span);
}

Millis seconds(std::int64_t count) { return std::chrono::seconds(count); }

void watch_sweep(Timers& timers, const Sweep& sweep, Now now) {
  const Millis wall = seconds(sweep.limits.wall_seconds);
  timers.walls.erase(sweep.number);
  if (wall.count() != 0 && !sweep.paused_ms && sweep.outcome.empty())
    timers.walls.set(sweep.number, now.mono + rest_of(wall, sweep.wall_from_ms, now));
}

void watch_job_wall(Timers& timers, const State& state, const Job& job, Now now) {
  const Millis wall = seconds(state.sweep(job.sweep)->limits.job_wall_seconds);
  timers.job_walls.erase(job.number);
  if (wall.count() != 0) timers.job_walls.set(job.number, now.mono + rest_of(wall, job.progress->started_ms, now));
}

// Other limits: what runs is held to them too.
void watch_again(Timers& timers, const State& state, const Sweep& sweep, Now now) {
  watch_sweep(timers, sweep, now);
  for (const sweeps::JobIndex index : sweep.active) {
    const Job& job = *state.job(JobNumber(sweep.first.value() + index));
    if (phase_of(job) == Phase::running) watch_job_wall(timers, state, job, now);
  }
}

}  // namespace

std::optional<TimePoint> Timers::next() const {
  std::optional<TimePoint> first;
  for (const std::optional<TimePoint>& at : {leases.next(), backoffs.next(), job_walls.next(), walls.next()}) {
    if (at && (!first || *at < *first)) first = at;
  }
  return first;
}

void Timers::observe(const State& state, const event::Event& event, Millis lease, Now now) {
  if (event.has_sweep_submitted()) watch_sweep(*this, *state.sweep(SweepNumber(event.sweep_submitted().sweep())), now);
  if (event.has_sweep_changed())
    watch_again(*this, state, *state.sweep(SweepNumber(event.sweep_changed().sweep())), now);
  if (event.has_jobs_reopened()) watch_sweep(*this, *state.sweep(SweepNumber(event.jobs_reopened().sweep())), now);
  if (event.has_sweep_ended()) walls.erase(SweepNumber(event.sweep_ended().sweep()));
  const Job* job = state.job(JobNumber(event.job()));
  if (job == nullptr) return;
  const Phase phase = phase_of(*job);
  if (event.has_lease_granted()) leases.set(job->lease, now.mono + lease);
  if (event.has_job_started()) watch_job_wall(*this, state, *job, now);
  if (event.has_job_backed_off()) backoffs.set(job->number, now.mono + Millis(event.job_backed_off().delay_ms()));
  if (event.has_lease_expired() && phase == Phase::backoff) {
    backoffs.set(job->number, now.mono + Millis(event.lease_expired().delay_ms()));
  }
  // Waits are not erased when they are cancelled: decide() passes over what no longer waits.
  if (!is_active(phase)) leases.erase(job->lease), job_walls.erase(job->number);
}

void Timers::restart(const State& state, Millis lease, Now now) {
  leases.clear(), backoffs.clear(), job_walls.clear(), walls.clear();
  for (const auto& [id, held] : state.leases) {
    leases.set(id, now.mono + lease);
    const Job& job = *state.job(held.fence.job);
    if (phase_of(job) == Phase::running) watch_job_wall(*this, state, job, now);
  }
  const std::int64_t wall_ms = now.wall.time_since_epoch().count();
  // The one look at all jobs that have not ended, once in the life of a process.
  for (const SweepNumber number : state.open_sweeps) {
    const Sweep& sweep = *state.sweep(number);
    watch_sweep(*this, sweep, now);
    for (const Job& job : sweep.jobs) {
      const auto* wait = std::get_if<Backoff>(&job.state);
      if (wait == nullptr) continue;
      // A clock that was set back must not make a job wait longer than it was told to.
      const Millis rest = std::clamp(Millis(wait->until_wall_ms - wall_ms), Millis(0), Millis(wait->delay_ms));
      backoffs.set(job.number, now.mono + rest);
    }
  }
}

}  // namespace fathom::core
