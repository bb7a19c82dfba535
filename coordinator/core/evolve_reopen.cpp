// A new generation of jobs that ended without a result.
#include <set>

#include "coordinator/core/handlers.hpp"
#include "coordinator/core/machine.hpp"

namespace fathom::core {
namespace {

// What counts tries starts anew. What was reached stays: the checkpoint that the next attempt goes on from, the values
// at rungs (entered once, I9), and that it has to run alone.
Status open_again(State& state, Job& job) {
  const bool chosen = job.inputs.size() == state.planned(job).needs.size();
  FATHOM_TRY(move_job(state, job, chosen ? Move::reopen : Move::reblock));
  ++job.generation;
  job.attempt = 0, job.sequence = 0, job.lease = LeaseId();
  job.failures = 0, job.losses = 0;
  job.worker = WorkerNumber();
  if (job.progress) job.progress.edit().started_ms = 0, job.progress.edit().device = SmallText();
  return success();
}

// Those that still wait wait for it once more. Those that are opened with it are counted whole.
void tell_waiting(State& state, Sweep& sweep, const Job& job, const std::set<JobNumber>& opened) {
  const Dependents& all = sweep.dependents;
  if (all.first.empty()) return;
  for (std::uint32_t i = all.first[job.index]; i < all.first[job.index + 1]; ++i) {
    Job& dependent = sweep.jobs[all.edges[i].job];
    auto* blocked = std::get_if<Blocked>(&dependent.state);
    if (blocked == nullptr || opened.contains(dependent.number)) continue;
    ++blocked->open;
    blocked->missing = SmallText();  // `on_missing: wait` has something to wait for again
    state.pending.resolve.erase(dependent.number), state.pending.fetch.erase(dependent.number);
  }
}

void open_sweep(State& state, Sweep& sweep, At at) {
  sweep.cancel_cause.reset();
  sweep.cancelled_by_limit = sweep.finishing = false;
  if (sweep.outcome.empty()) return;
  make_move_indexes(sweep);
  sweep.outcome.clear();
  sweep.ended_ms = 0;
  sweep.paused_ms.reset();
  sweep.wall_from_ms = at.wall_ms;
  state.open_sweeps.insert(sweep.number);
}

}  // namespace

Status on(State& state, const event::JobsReopened& event, At at) {
  Sweep* sweep = state.sweep(SweepNumber(event.sweep()));
  if (sweep == nullptr) return Error{Errc::not_found, "there is no sweep " + std::to_string(event.sweep())};
  std::set<JobNumber> opened;
  for (const std::uint64_t number : event.jobs()) {
    const Job* job = state.job(JobNumber(number));
    if (job == nullptr || job->sweep != sweep->number)
      return Error{Errc::failed_precondition, "job " + std::to_string(number) + " is none of the sweep"};
    opened.insert(job->number);
  }
  open_sweep(state, *sweep, at);
  for (const JobNumber number : opened) FATHOM_TRY(open_again(state, *state.job(number)));
  for (const JobNumber number : opened) {
    Job& job = *state.job(number);
    tell_waiting(state, *sweep, job, opened);
    if (auto* blocked = std::get_if<Blocked>(&job.state)) {
      blocked->open = open_inputs(state, job);
      if (blocked->open == 0) mark_needs(state, job);
    }
    open_in_group(state, *sweep, job);
  }
  if (!event.key().empty()) sweep->reopened[event.key()] = static_cast<std::uint32_t>(opened.size());
  tell_outside(state, *sweep);
  mark_sweep(state, *sweep);
  return success();
}

}  // namespace fathom::core
