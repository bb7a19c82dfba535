#include "coordinator/core/needs.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "coordinator/core/machine.hpp"
#include "sweeps/elsewhere.hpp"

namespace fathom::core {
namespace {

// The contenders of a need from all sweeps under numbers of their own, so that one rule chooses among them.
class Wide {
 public:
  Wide(const State& state, const Sweep& own, const sweeps::Need& need) : state_(state), need_(need), wide_(need) {
    wide_.elsewhere.clear(), wide_.contenders.clear();
    for (const sweeps::Contender& contender : need.contenders) add(contender.jobs, own);
    if (!need.contenders.empty()) goal_ = need.goal;
  }

  // Empty, or why nothing can be chosen.
  std::string take(const sweeps::Elsewhere& asked) {
    const auto known = state_.sweep_by_id.find(asked.sweep);
    if (known == state_.sweep_by_id.end()) return "there is no sweep " + asked.sweep + " here";
    const Sweep& sweep = *state_.sweep(known->second);
    std::string why;
    const auto planned = [&](sweeps::JobIndex index) -> const sweeps::Job& {
      return state_.planned(*state_.job(JobNumber(sweep.first.value() + index)));
    };
    auto contenders = sweeps::contenders_in(*sweep.plan, asked, planned, why);
    if (contenders.empty()) return why;
    if (goal_.value_or(sweep.plan->goal) != sweep.plan->goal)
      return "what competes for it was judged by different goals";
    wide_.goal = *(goal_ = sweep.plan->goal);
    std::size_t fitting = 0;
    for (sweeps::Contender& contender : contenders) {
      if (!put_seed_first(contender.jobs, planned)) continue;
      ++fitting;
      add(contender.jobs, sweep);
    }
    if (fitting == 0)
      return "no adapter for '" + asked.task + "' of " + name_of(asked) + " has seed " + std::to_string(need_.seed);
    return open_in(sweep, asked);
  }

  [[nodiscard]] JobNumber open() const { return open_; }

  std::variant<ChosenInput, std::string> choose(SweepNumber own) const {
    const auto choice =
        sweeps::select(wide_, [&](sweeps::JobIndex at) { return result_of(*state_.job(numbers_[at])); });
    if (const auto* none = std::get_if<sweeps::Missing>(&choice)) return none->why;
    const auto* chosen = std::get_if<sweeps::Chosen>(&choice);
    if (chosen == nullptr) return std::string("a job that it looks at has not ended");  // open was counted to 0
    const JobNumber number = numbers_[chosen->job];
    return ChosenInput{number, chosen->mean, state_.job(number)->sweep != own};
  }

 private:
  void add(const std::vector<sweeps::JobIndex>& jobs, const Sweep& sweep) {
    sweeps::Contender& to = wide_.contenders.emplace_back();
    for (const sweeps::JobIndex index : jobs) {
      to.jobs.push_back(static_cast<sweeps::JobIndex>(numbers_.size()));
      numbers_.emplace_back(sweep.first.value() + index);
    }
  }

  // The job of the asked seed where select() looks for it. False: the setting has none.
  template <class Planned>
  bool put_seed_first(std::vector<sweeps::JobIndex>& jobs, const Planned& planned) const {
    if (need_.best_seed) return true;
    const auto own =
        std::ranges::find_if(jobs, [&](sweeps::JobIndex index) { return planned(index).seed == need_.seed; });
    if (own == jobs.end()) return false;
    std::swap(*own, jobs[std::min<std::size_t>(need_.seed_place, jobs.size() - 1)]);
    return true;
  }

  // The last one: sweeps go from the first job to the last, so that looking at each end is not in vain for long.
  std::string open_in(const Sweep& sweep, const sweeps::Elsewhere& asked) {
    std::size_t count = 0;
    JobNumber last;
    for (const JobNumber number : numbers_) {
      const Job& job = *state_.job(number);
      if (job.sweep != sweep.number || is_terminal(phase_of(job))) continue;
      ++count;
      last = std::max(last, number);
    }
    if (count == 0) return {};
    open_ = last;
    const Job& job = *state_.job(last);
    return std::to_string(count) + (count == 1 ? " job of " : " jobs of ") + name_of(asked) +
           (count == 1 ? " has" : " have") + " not ended, the last is " + state_.planned(job).id.text() + " (" +
           name_of(phase_of(job)) + ")";
  }

  const State& state_;
  const sweeps::Need& need_;
  sweeps::Need wide_;
  std::vector<JobNumber> numbers_;  // by index in wide_
  std::optional<sweeps::Goal> goal_;
  JobNumber open_;
};

std::variant<ChosenInput, Lacking> choose_for(const State& state, const Sweep& own, const sweeps::Need& need) {
  Wide wide(state, own, need);
  for (const auto& asked : need.elsewhere) {
    if (std::string why = wide.take(*asked); !why.empty())
      return Lacking{&need, "'" + need.name + "': " + why, wide.open()};
  }
  auto choice = wide.choose(own.number);
  if (auto* why = std::get_if<std::string>(&choice)) return Lacking{&need, std::move(*why), JobNumber()};
  return std::get<ChosenInput>(choice);
}

template <class Visit>
void each_sweep_outside(const State& state, const Job& job, Visit visit) {
  for (const sweeps::Need& need : state.planned(job).needs) {
    for (const auto& asked : need.elsewhere) visit(asked->sweep);
  }
}

}  // namespace

sweeps::JobResult result_of(const Job& job) {
  using Of = sweeps::Outcome;
  const Phase phase = phase_of(job);
  if (phase == Phase::succeeded) return {Of::succeeded, std::get<Succeeded>(job.state).outcome->objective};
  if (phase == Phase::stopped) {
    const Outcome& outcome = *std::get<Stopped>(job.state).outcome;
    // Stopped without a tree (its worker was lost meanwhile): there is nothing that a dependent could take.
    return {outcome.has_files ? Of::stopped : Of::failed, outcome.objective};
  }
  return {is_terminal(phase) ? Of::failed : Of::open, std::nullopt};
}

bool asks_elsewhere(const sweeps::Job& planned) {
  return std::ranges::any_of(planned.needs, [](const sweeps::Need& need) { return !need.elsewhere.empty(); });
}

std::variant<std::vector<ChosenInput>, Lacking> choose(const State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  std::vector<ChosenInput> inputs;
  for (const sweeps::Need& need : state.planned(job).needs) {
    auto choice = choose_for(state, sweep, need);
    if (auto* lacking = std::get_if<Lacking>(&choice)) return std::move(*lacking);
    inputs.push_back(std::get<ChosenInput>(choice));
  }
  return inputs;
}

std::vector<ReadResults::Wanted> files_to_read(const State& state, const Job& job) {
  std::vector<ReadResults::Wanted> out;
  const auto choice = choose(state, job);
  const auto* inputs = std::get_if<std::vector<ChosenInput>>(&choice);
  if (inputs == nullptr) return out;
  for (const ChosenInput& input : *inputs) {
    if (!input.elsewhere) continue;
    // One that took its result from another has its files where that one ended.
    const ResultMark& mark = *std::get<Succeeded>(state.job(input.job)->state).mark;
    out.push_back({job.number, mark.source == 0 ? input.job : JobNumber(mark.source), mark.seq});
  }
  return out;
}

void mark_needs(State& state, const Job& job) {
  const sweeps::Job& planned = state.planned(job);
  if (!asks_elsewhere(planned)) {
    state.pending.resolve.insert(job.number);  // where nothing can ever meet it, follow_up() says so
    return;
  }
  state.pending.resolve.erase(job.number), state.pending.fetch.erase(job.number);
  const auto choice = choose(state, job);
  const auto* lacking = std::get_if<Lacking>(&choice);
  each_sweep_outside(state, job, [&](const std::string& sweep) {
    state.outside[sweep][job.number] = lacking == nullptr ? JobNumber() : lacking->open;
  });
  if (lacking == nullptr) {
    const bool elsewhere = std::ranges::any_of(std::get<std::vector<ChosenInput>>(choice), &ChosenInput::elsewhere);
    (elsewhere ? state.pending.fetch : state.pending.resolve).insert(job.number);
  } else if (lacking->need->elsewhere.empty() || lacking->need->on_missing != sweeps::OnMissing::wait) {
    state.pending.resolve.insert(job.number);
  }
}

void watch_outside(State& state, const Job& job) {
  each_sweep_outside(state, job,
                     [&](const std::string& sweep) { state.outside[sweep].emplace(job.number, JobNumber()); });
}

void forget_outside(State& state, const Job& job) {
  each_sweep_outside(state, job, [&](const std::string& sweep) {
    const auto found = state.outside.find(sweep);
    if (found == state.outside.end()) return;
    found->second.erase(job.number);
    if (found->second.empty()) state.outside.erase(found);
  });
}

void tell_outside(State& state, const Sweep& sweep) {
  const auto found = state.outside.find(sweep.id);
  if (found == state.outside.end()) return;
  std::vector<JobNumber> due;  // copied: a mark changes the index
  for (const auto& [number, waits_for] : found->second) {
    const auto* blocked = std::get_if<Blocked>(&state.job(number)->state);
    const Job* open = state.job(waits_for);
    const bool in_vain = open != nullptr && !is_terminal(phase_of(*open));
    if (blocked != nullptr && blocked->open == 0 && !in_vain) due.push_back(number);
  }
  for (const JobNumber number : due) mark_needs(state, *state.job(number));
}

}  // namespace fathom::core
