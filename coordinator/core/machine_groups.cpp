// What a change of a job or a verdict means to its comparison group: what follow_up() has to look at next.
#include <algorithm>

#include "coordinator/core/machine.hpp"

namespace fathom::core {
namespace {

bool ended_without_result(Phase phase) {
  return is_terminal(phase) && phase != Phase::succeeded && phase != Phase::stopped;
}

// Rungs of the member of a population that has come least far of those that wait for a slot.
constexpr std::uint32_t kNobodyWaits = 0xffffffff;
std::uint32_t least_waiting(const Sweep& sweep, const StopGroup& group) {
  std::uint32_t least = kNobodyWaits;
  for (const auto& [first, setting] : group.settings) {
    if (phase_of(sweep.jobs[first]) == Phase::ready) least = std::min(least, setting.judged);
  }
  return least;
}

// It has come to a rung at which its setting has no verdict yet, and there is one above. Or members of its population
// wait for a slot that have come less far: with fewer slots than members these take turns.
bool rests(const Sweep& sweep, const Job& job, std::uint32_t least) {
  const StopGroup& group = sweep.groups[sweep.group_of[job.index]];
  if (!group.stopper.pauses()) return false;
  const sweeps::JobIndex first = sweep.setting_of[job.index];
  const Setting& setting = group.settings.at(first);
  // Of a setting that lost a seed there is no mean: it is judged no more, and what is left of it runs to its end.
  if (setting.stopped || group.stopper.withdrawn(first)) return false;
  if (least < setting.judged && setting.judged < group.stopper.rungs(first).size()) return true;
  const std::size_t cleared = setting.judged - (setting.waiting ? 1 : 0);
  // Nor is there one where a seed ended before it came as far (train.patience, a result of before).
  const bool in_vain = std::ranges::any_of(group.jobs_of(setting), [&](sweeps::JobIndex index) {
    const Job& seed = sweep.jobs[index];
    return is_terminal(phase_of(seed)) && seed.progress->rung_values.size() <= cleared;
  });
  return !in_vain && job.progress->rung_values.size() > cleared && cleared + 1 < group.stopper.rungs(first).size();
}

void mark_job(State& state, const Sweep& sweep, const Job& job, std::uint32_t least) {
  const StopGroup& group = sweep.groups[sweep.group_of[job.index]];
  const Setting& setting = group.settings.at(sweep.setting_of[job.index]);
  const Phase phase = phase_of(job);
  const auto mark = [&](std::set<JobNumber>& marked, bool due) {
    due ? static_cast<void>(marked.insert(job.number)) : static_cast<void>(marked.erase(job.number));
  };
  const bool resting = rests(sweep, job, least);
  const bool cloned = phase == Phase::paused && resting && setting.waiting && group.stopper.clones();
  mark(state.pending.pause, resting && next(phase, Move::wish_pause));
  mark(state.pending.clone, cloned);
  mark(state.pending.resume, !resting && phase == Phase::paused && !setting.stopped);
}

}  // namespace

bool is_grouped(const Sweep& sweep, const Job& job) {
  return !sweep.group_of.empty() && sweep.group_of[job.index] != kNoGroup;
}

void mark_setting(State& state, const Sweep& sweep, const StopGroup& group, sweeps::JobIndex first) {
  const Setting& setting = group.settings.at(first);
  const auto job_at = [&](sweeps::JobIndex index) -> const Job& { return sweep.jobs[index]; };
  // All seeds have passed the next rung: only then is there a mean to judge.
  const bool judge =
      !setting.stopped && !setting.waiting && std::ranges::all_of(group.jobs_of(setting), [&](sweeps::JobIndex index) {
        return job_at(index).progress->rung_values.size() > setting.judged;
      });
  if (judge) {
    state.pending.judge.emplace(sweep.number, first);
  } else {
    state.pending.judge.erase({sweep.number, first});
  }
  for (const sweeps::JobIndex index : group.jobs_of(setting)) {
    mark_pause(state, sweep, job_at(index));
    if (setting.stopped && next(phase_of(job_at(index)), Move::wish_stop))
      state.pending.stop.insert(job_at(index).number);
  }
}

void mark_overdue(State& state, const Sweep& sweep, std::uint32_t group) {
  if (sweep.groups[group].stopper.overdue().empty()) {
    state.pending.overdue.erase({sweep.number, group});
  } else {
    state.pending.overdue.emplace(sweep.number, group);
  }
}

void mark_pause(State& state, const Sweep& sweep, const Job& job) {
  if (!is_grouped(sweep, job)) return;
  const StopGroup& group = sweep.groups[sweep.group_of[job.index]];
  if (!group.stopper.clones()) return mark_job(state, sweep, job, kNobodyWaits);
  const std::uint32_t least = least_waiting(sweep, group);
  for (const auto& [first, setting] : group.settings) mark_job(state, sweep, sweep.jobs[first], least);
}

void end_in_group(State& state, Sweep& sweep, const Job& job) {
  if (!is_grouped(sweep, job)) return;
  const std::uint32_t number = sweep.group_of[job.index];
  StopGroup& group = sweep.groups[number];
  const sweeps::JobIndex first = sweep.setting_of[job.index];
  const Setting& setting = group.settings.at(first);
  const auto phase_at = [&](sweeps::JobIndex index) { return phase_of(sweep.jobs[index]); };
  const auto any = [&](auto test) {
    return std::ranges::any_of(group.jobs_of(setting), [&](sweeps::JobIndex index) { return test(phase_at(index)); });
  };
  // A setting whose seeds all Succeeded is one to compare with, however early train.patience ended it.
  if (any(ended_without_result)) {
    group.stopper.withdraw(first);
  } else if (!any([](Phase phase) { return phase != Phase::succeeded; })) {
    group.stopper.complete(first);
  }
  if (!group.stopper.pauses()) return;
  for (const sweeps::JobIndex index : group.jobs_of(setting)) mark_pause(state, sweep, sweep.jobs[index]);
  mark_overdue(state, sweep, number);
}

void open_in_group(State& state, Sweep& sweep, const Job& job) {
  if (!is_grouped(sweep, job)) return;
  const std::uint32_t number = sweep.group_of[job.index];
  StopGroup& group = sweep.groups[number];
  const sweeps::JobIndex first = sweep.setting_of[job.index];
  const bool without = std::ranges::any_of(group.jobs_of(group.settings.at(first)), [&](sweeps::JobIndex index) {
    return ended_without_result(phase_of(sweep.jobs[index]));
  });
  if (!without) group.stopper.readmit(first);
  mark_setting(state, sweep, group, first);
  if (group.stopper.pauses()) mark_overdue(state, sweep, number);
}

}  // namespace fathom::core
