// What follows from the state by itself. evolve() marks where something is due (Pending); here it is decided, one event
// at a time, so that each one sees the state that the one before made.
#include <algorithm>
#include <cmath>

#include "coordinator/core/core.hpp"
#include "coordinator/core/deciders.hpp"
#include "coordinator/core/machine.hpp"
#include "coordinator/core/needs.hpp"
#include "coordinator/core/populations.hpp"
#include "coordinator/core/searches.hpp"
#include "sweeps/greedy.hpp"

namespace fathom::core {
namespace {

// Only the sweep file says whether a missing input is a failure.
event::Event missing(const Job& job, const sweeps::Need& need, const std::string& why) {
  event::Event event;
  if (need.on_missing == sweeps::OnMissing::wait) {
    event.mutable_needs_missing()->set_job(job.number.value());
    event.mutable_needs_missing()->set_why(why);
    return event;
  }
  event.mutable_job_skipped()->set_job(job.number.value());
  event.mutable_job_skipped()->set_why(why);
  event.mutable_job_skipped()->set_fail(need.on_missing == sweeps::OnMissing::fail);
  return event;
}

// Which adapters the fusion takes: said before its inputs are, which are then chosen as of a set that was listed.
event::Event choose_set(const State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  const sweeps::Job& open = state.planned(job);
  const auto result = [&](sweeps::JobIndex index) {
    return result_of(*state.job(JobNumber(sweep.first.value() + index)));
  };
  const auto choice = sweeps::choose_set(open, result);
  if (const auto* none = std::get_if<sweeps::Missing>(&choice)) return missing(job, open.needs.front(), none->why);
  const auto* set = std::get_if<sweeps::ChosenSet>(&choice);
  if (set == nullptr) return missing(job, open.needs.front(), "a job that it looks at has not ended");
  for (const sweeps::Need& need : sweeps::with_set(open, set->members).needs) {
    const auto input = sweeps::select(need, result);
    if (const auto* none = std::get_if<sweeps::Missing>(&input)) return missing(job, need, none->why);
  }
  event::Event event;
  auto* chosen = event.mutable_set_chosen();
  chosen->set_job(job.number.value());
  for (const std::string& member : set->members) chosen->add_members(member);
  for (const std::string& member : set->chosen) chosen->add_chosen(member);
  for (const double mean : set->means) chosen->add_means(mean);
  return event;
}

// All needs at once: a job that would be skipped for one of them never takes part of its inputs.
event::Event resolve(const State& state, const Job& job) {
  if (awaits_set(*state.sweep(job.sweep), job.index)) return choose_set(state, job);
  const auto choice = choose(state, job);
  if (const auto* lacking = std::get_if<Lacking>(&choice)) return missing(job, *lacking->need, lacking->why);
  event::Event event;
  auto* resolved = event.mutable_needs_resolved();
  resolved->set_job(job.number.value());
  for (const ChosenInput& chosen : std::get<std::vector<ChosenInput>>(choice)) {
    auto* input = resolved->add_inputs();
    input->set_job(chosen.job.value());
    input->set_mean(chosen.mean);
  }
  return event;
}

event::Event entered(const Sweep& sweep, const StopGroup& group, const sweeps::Stopper::Entry& entry) {
  event::Event event;
  auto* out = event.mutable_rung_entered();
  out->set_job(sweep.first.value() + entry.job);
  out->set_rung(entry.rung);
  out->set_epoch(group.stopper.rungs(entry.job)[entry.rung]);
  out->set_by_step(group.stopper.rule().by_step);
  out->set_value(entry.value);
  out->set_keep_going(entry.keep_going);
  out->set_held(entry.held);
  return event;
}

// The verdict at the setting's next rung. The stopper knows what was entered before; only the new entry is taken.
event::Event judge(const State& state, const Sweep& sweep, sweeps::JobIndex first) {
  const StopGroup& group = sweep.groups[sweep.group_of[first]];
  const Setting& setting = group.settings.at(first);
  double sum = 0;
  for (const sweeps::JobIndex index : group.jobs_of(setting)) {
    sum += state.job(JobNumber(sweep.first.value() + index))->progress->rung_values[setting.judged];
  }
  const double mean = sum / static_cast<double>(setting.count);
  return entered(sweep, group, group.stopper.judge(first, setting.judged, mean));
}

event::Event decide_held(const Sweep& sweep, std::uint32_t number) {
  const StopGroup& group = sweep.groups[number];
  event::Event event = entered(sweep, group, group.stopper.overdue().front());
  event.mutable_rung_entered()->set_decided(true);
  return event;
}

// For one job of a setting whose verdict is stop; the others follow one by one.
event::Event stop(const State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  const StopGroup& group = sweep.groups[sweep.group_of[job.index]];
  const Setting& setting = group.settings.at(sweep.setting_of[job.index]);
  event::Event event;
  auto* wish = event.mutable_stop_wished();
  write_fence(fence_of(job), 0, wish->mutable_fence());
  wish->set_cause("search");
  wish->set_text(sweep.plan->stages[state.planned(job).stage].stop->method + ": stopped after " +
                 sweeps::unit_of(group.stopper.rule()) + " " +
                 std::to_string(group.stopper.rungs(sweep.setting_of[job.index])[setting.judged - 1]));
  return event;
}

// Its setting rests: the slot is free for others meanwhile.
event::Event pause(const State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  const StopGroup& group = sweep.groups[sweep.group_of[job.index]];
  const sweeps::JobIndex first = sweep.setting_of[job.index];
  const Setting& setting = group.settings.at(first);
  event::Event event;
  auto* wish = event.mutable_pause_wished();
  write_fence(fence_of(job), 0, wish->mutable_fence());
  const bool turns = group.stopper.clones() && !setting.waiting;
  wish->set_text(turns ? "lets members of its population go first that have come less far"
                       : sweeps::describe_rest(group.stopper, first, setting.judged - (setting.waiting ? 1 : 0)));
  return event;
}

event::Event resume(const Job& job) {
  event::Event event;
  event.mutable_job_resumed()->set_job(job.number.value());
  return event;
}

// Started, and then it turned out that another job has or makes its result.
event::Event withdraw(const Job& job) {
  event::Event event;
  auto* released = event.mutable_lease_released();
  write_fence(fence_of(job), 0, released->mutable_fence());
  released->set_why("another job has its result, or makes it");
  released->set_recalled(true);
  return event;
}

// Ended well: Succeeded, Stopped by a search, or Skipped because of one that ended otherwise (docs/protocol.md).
std::string outcome_of(const Sweep& sweep) {
  const auto count = [&](Phase phase) { return sweep.counts[static_cast<std::size_t>(phase)]; };
  if (sweep.cancel_cause && !sweep.cancelled_by_limit) return "cancelled";
  if (sweep.cancel_cause || count(Phase::failed) != 0 || count(Phase::diverged) != 0) return "failed";
  return count(Phase::cancelled) != 0 ? "cancelled" : "succeeded";
}

// A sweep that is marked has ended, has passed limits.failed, or finishes and has jobs that came back to wait.
event::Event close(const Sweep& sweep) {
  event::Event event;
  const std::uint32_t failed = sweep.counts[static_cast<std::size_t>(Phase::failed)];
  if (ended_jobs(sweep) == sweep.plan->jobs.size()) {
    event.mutable_sweep_ended()->set_sweep(sweep.number.value());
    event.mutable_sweep_ended()->set_outcome(outcome_of(sweep));
    return event;
  }
  auto* cancel = event.mutable_sweep_cancel_requested();
  cancel->set_sweep(sweep.number.value());
  if (sweep.finishing) {
    cancel->set_by_limit(sweep.cancelled_by_limit);
    cancel->set_finish(true);
    cancel->set_again(true);
    cancel->set_cause(*sweep.cancel_cause);
    return event;
  }
  cancel->set_by_limit(true);
  cancel->set_cause("limits.failed: " + std::to_string(failed) + " jobs failed, more than " +
                    std::to_string(sweep.limits.failed));
  return event;
}

}  // namespace

std::optional<event::Event> follow_up(const State& state) {
  const Pending& pending = state.pending;
  if (!pending.resolve.empty()) return resolve(state, *state.job(*pending.resolve.begin()));
  if (!pending.overdue.empty()) {
    const auto& [sweep, group] = *pending.overdue.begin();
    return decide_held(*state.sweep(sweep), group);
  }
  if (!pending.judge.empty()) {
    const auto& [sweep, first] = *pending.judge.begin();
    return judge(state, *state.sweep(sweep), first);
  }
  if (!pending.withdraw.empty()) return withdraw(*state.job(*pending.withdraw.begin()));
  if (!pending.stop.empty()) return stop(state, *state.job(*pending.stop.begin()));
  if (!pending.pause.empty()) return pause(state, *state.job(*pending.pause.begin()));
  if (!pending.clone.empty()) return clone(state, *state.job(*pending.clone.begin()));
  if (!pending.resume.empty()) return resume(*state.job(*pending.resume.begin()));
  if (!pending.check.empty()) return close(*state.sweep(*pending.check.begin()));
  return std::nullopt;
}

}  // namespace fathom::core
