// Results that jobs take from others.
#include "coordinator/core/cache.hpp"
#include "coordinator/core/handlers.hpp"
#include "coordinator/core/machine.hpp"

namespace fathom::core {
namespace {

Result<Job*> job_of(State& state, std::uint64_t number) {
  Job* job = state.job(JobNumber(number));
  if (job == nullptr) return Error{Errc::not_found, "there is no job " + std::to_string(number)};
  return job;
}

// What its own attempts had entered stays (I9); the rest is the source's.
void take_rungs(const State& state, Job& job, const event::JobReused& event) {
  const Sweep& sweep = *state.sweep(job.sweep);
  if (sweep.group_of.empty() || sweep.group_of[job.index] == kNoGroup) return;
  const StopGroup& group = sweep.groups[sweep.group_of[job.index]];
  const sweeps::JobIndex first = sweep.setting_of[job.index];
  const auto rungs = static_cast<int>(group.stopper.rungs(first).size());
  for (auto i = static_cast<int>(job.progress->rung_values.size()); i < event.rung_values_size() && i < rungs; ++i)
    job.progress.edit().rung_values.push_back(event.rung_values(i));
}

void judge_taken(State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  if (sweep.group_of.empty() || sweep.group_of[job.index] == kNoGroup) return;
  mark_setting(state, sweep, sweep.groups[sweep.group_of[job.index]], sweep.setting_of[job.index]);
}

}  // namespace

Status on(State& state, const event::JobReused& event, At) {
  FATHOM_ASSIGN(Job * job, job_of(state, event.job()));
  if (state.sweeps.number_of(JobNumber(event.source())).value() == 0)
    return Error{Errc::not_found, "there is no job " + std::to_string(event.source())};
  Outcome outcome{{}, event.epoch(), event.files_size() != 0, files_of(event.files())};
  if (event.has_objective()) outcome.objective = event.objective();
  const ResultMark mark{event.key(), tree_hash(*outcome.files), event.source_seq(),
                        static_cast<std::uint32_t>(event.made_ms() / 1000), static_cast<std::uint32_t>(event.source())};
  const std::optional<double> objective = outcome.objective;
  take_rungs(state, *job, event);  // before it ends: what its group makes of the end depends on them
  FATHOM_TRY(move_job(state, *job, Move::reuse, {.outcome = std::move(outcome), .mark = mark}));
  Progress& progress = job->progress.edit();
  progress.objective = progress.best = objective;
  progress.best_epoch = event.epoch();
  judge_taken(state, *job);
  return success();
}

Status on(State& state, const event::ReuseRefused& event, At) {
  FATHOM_ASSIGN(Job * job, job_of(state, event.job()));
  job->fresh = true;
  look_again(state, *state.sweep(job->sweep), *job);
  return success();
}

Status on(State& state, const event::ResultPinned& event, At) {
  FATHOM_ASSIGN(const Job* job, job_of(state, event.job()));
  if (event.pinned()) {
    state.pinned.insert(job->number);
  } else {
    state.pinned.erase(job->number);
  }
  return success();
}

}  // namespace fathom::core
