#include "coordinator/core/searches.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/canonical_json.hpp"
#include "common/sha256.hpp"
#include "coordinator/core/cache.hpp"
#include "coordinator/core/handlers.hpp"
#include "coordinator/core/populations.hpp"
#include "sweeps/greedy.hpp"
#include "sweeps/trial.hpp"

namespace fathom::core {
namespace {

using sweeps::Reached;

struct SeedEnd {
  Reached reached = Reached::open;
  std::optional<double> value;
  std::uint32_t epoch = 0;  // or step, where rungs count these
  bool lost = false;        // it says nothing about its setting
};

// Paused at a rung says as much as stopped there: it may rest until others have come.
SeedEnd end_of(const Job& job, bool by_step) {
  switch (phase_of(job)) {
    case Phase::succeeded: {
      const Outcome& outcome = *std::get<Succeeded>(job.state).outcome;
      return {Reached::whole, outcome.objective ? outcome.objective : job.progress->best, 0, false};
    }
    case Phase::stopped:
    case Phase::paused:
      return {Reached::part, job.progress->best,
              by_step ? static_cast<std::uint32_t>(job.progress->step) : job.progress->epoch, false};
    case Phase::diverged:
      return {Reached::nothing, std::nullopt, 0, false};
    case Phase::failed:
    case Phase::cancelled:
    case Phase::skipped:
      return {Reached::open, std::nullopt, 0, true};
    default:
      return {};
  }
}

// What a setting came to: the mean over its seeds, as far as the seed that came least far. Without a value it counts
// as one that still runs.
sweeps::Observation observe(const State& state, const Sweep& sweep, const std::vector<sweeps::JobIndex>& jobs) {
  sweeps::Observation out;
  out.point = nlohmann::json::parse(sweep.drawn.at(jobs.front()).point);
  out.reached = Reached::whole;
  double sum = 0;
  std::optional<std::uint32_t> epoch;
  bool open = false, diverged = false;
  for (const sweeps::JobIndex index : jobs) {
    const auto& stop = sweep.plan->stages[sweep.plan->jobs[index].stage].stop;
    const SeedEnd end = end_of(*state.job(JobNumber(sweep.first.value() + index)), stop && stop->by_step);
    diverged = diverged || end.reached == Reached::nothing;
    open = open || end.lost || end.reached == Reached::open || (end.reached != Reached::nothing && !end.value);
    if (end.reached == Reached::part)
      out.reached = Reached::part, epoch = std::min(epoch.value_or(end.epoch), end.epoch);
    sum += end.value.value_or(0);
  }
  out.value = sum / static_cast<double>(jobs.size());
  out.epoch = epoch.value_or(0);
  if (diverged || open) out.reached = diverged ? Reached::nothing : Reached::open;
  return out;
}

}  // namespace

bool awaits_point(const Sweep& sweep, sweeps::JobIndex index) {
  return sweep.plan->jobs[index].search != sweeps::kNoSearch && !sweep.drawn.contains(index);
}

event::Event draw_point(const State& state, const Sweep& sweep, sweeps::JobIndex index) {
  const sweeps::Job& open = sweep.plan->jobs[index];
  const sweeps::TrialGroup& search = sweep.plan->searches[open.search];
  std::vector<sweeps::Observation> seen;
  for (const auto& jobs : search.trials) {
    if (!jobs.empty() && sweep.drawn.contains(jobs.front())) seen.push_back(observe(state, sweep, jobs));
  }
  bool modelled = false;
  const nlohmann::json point = sweeps::draw_point(*sweep.plan, open, seen, modelled);
  const auto& jobs = search.trials[open.trial];
  event::Event event;
  auto* drawn = event.mutable_point_drawn();
  drawn->set_job(sweep.first.value() + index);
  for (const sweeps::JobIndex job : jobs) drawn->add_jobs(sweep.first.value() + job);
  drawn->set_point(canonical_json(point));
  drawn->set_known(static_cast<std::uint32_t>(seen.size()));
  drawn->set_modelled(modelled);
  return event;
}

bool awaits_set(const Sweep& sweep, sweeps::JobIndex index) {
  return sweep.plan->jobs[index].greedy && !sweep.drawn.contains(index);
}

Status know_drawn(State& state, Sweep& sweep, sweeps::JobIndex index, const std::string& text) {
  const auto wrong = [&](const std::string& why) {
    return Error{Errc::corrupt, "what was drawn for job " + std::to_string(sweep.first.value() + index) + ": " + why};
  };
  if (is_member(sweep, index)) return know_clone(state, sweep, index, text);
  if (!awaits_point(sweep, index) && !awaits_set(sweep, index)) return wrong("it is known, or nothing is drawn for it");
  try {
    const sweeps::Job& open = sweep.plan->jobs[index];
    DrawnJob drawn;
    drawn.point = text;
    const auto value = nlohmann::json::parse(text);
    drawn.job =
        open.greedy ? sweeps::with_set(open, value.get<std::vector<std::string>>()) : sweeps::drawn_job(open, value);
    if (open.greedy && drawn.job.needs.size() != value.size()) return wrong("it names adapters that it cannot have");
    drawn.id = sweeps::JobId::of(drawn.job.settings.canonical());
    state.drawn.emplace(drawn.id, JobNumber(sweep.first.value() + index));
    sweep.drawn.emplace(index, std::move(drawn));
  } catch (const nlohmann::json::exception& error) {
    return wrong(error.what());
  }
  return success();
}

Status on(State& state, const event::PointDrawn& event, At) {
  const Job* first = state.job(JobNumber(event.job()));
  if (first == nullptr) return Error{Errc::not_found, "there is no job " + std::to_string(event.job())};
  Sweep& sweep = *state.sweep(first->sweep);
  for (const std::uint64_t number : event.jobs()) {
    const Job* job = state.job(JobNumber(number));
    if (job == nullptr || job->sweep != first->sweep)
      return Error{Errc::failed_precondition, "job " + std::to_string(number) + " is none of the sweep"};
    FATHOM_TRY(know_drawn(state, sweep, job->index, event.point()));
  }
  // Only now it is known whether another job has or makes their results.
  for (const std::uint64_t number : event.jobs()) look_again(state, sweep, *state.job(JobNumber(number)));
  return success();
}

Status on(State& state, const event::SetChosen& event, At) {
  const Job* job = state.job(JobNumber(event.job()));
  if (job == nullptr) return Error{Errc::not_found, "there is no job " + std::to_string(event.job())};
  Sweep& sweep = *state.sweep(job->sweep);
  if (!awaits_set(sweep, job->index) || phase_of(*job) != Phase::blocked)
    return Error{Errc::failed_precondition, "a set is chosen once, while its fusion waits for its inputs"};
  const nlohmann::json members(std::vector<std::string>(event.members().begin(), event.members().end()));
  return know_drawn(state, sweep, job->index, canonical_json(members));
}

}  // namespace fathom::core
