// retry and rerun: which jobs begin a new generation.
#include <algorithm>

#include "coordinator/core/deciders.hpp"
#include "coordinator/core/machine.hpp"
#include "coordinator/core/needs.hpp"

namespace fathom::core {
namespace {

// Which jobs of a sweep are opened again, by their place in the plan.
class Choice {
 public:
  Choice(const State& state, const Sweep& sweep)
      : state_(state), sweep_(sweep), chosen_(sweep.plan->jobs.size(), false) {}

  // What its search has stopped stays so: a new attempt would be stopped as soon as it waits.
  [[nodiscard]] bool verdict_is_stop(const Job& job) const {
    if (sweep_.group_of.empty() || sweep_.group_of[job.index] == kNoGroup) return false;
    return sweep_.groups[sweep_.group_of[job.index]].settings.at(sweep_.setting_of[job.index]).stopped;
  }
  // Failed of itself, not for the want of an input; or cancelled because too many did.
  [[nodiscard]] bool failed(const Job& job) const {
    if (verdict_is_stop(job)) return false;
    if (phase_of(job) == Phase::failed) return has_inputs(job);
    const auto* cancelled = std::get_if<Cancelled>(&job.state);
    return cancelled != nullptr && sweep_.cancelled_by_limit && cancelled->cause.str() == sweep_.cancel_cause;
  }
  // Skipped, or failed, since another sweep did not have what it needs: it may have it now.
  [[nodiscard]] bool lacks_outside(const Job& job) const {
    const bool ended = phase_of(job) == Phase::skipped || phase_of(job) == Phase::failed;
    return ended && asks_elsewhere(state_.planned(job)) && !has_inputs(job);
  }
  void take(const Job& job) { chosen_[job.index] = true; }
  // What ended for the want of an input that is opened again. A stage takes models of stages before it, so that one
  // walk in the order of the plan sees every input first.
  void take_dependents() {
    for (sweeps::JobIndex i = 0; i < chosen_.size(); ++i) {
      const Job& job = job_at(i);
      const bool wants = phase_of(job) == Phase::skipped || (phase_of(job) == Phase::failed && !has_inputs(job));
      if (wants && !chosen_[i] && needs_chosen(job)) chosen_[i] = true;
    }
  }
  Decision decide(const std::string& cause, const std::string& key) const {
    Decision decision;
    event::JobsReopened event;
    for (sweeps::JobIndex i = 0; i < chosen_.size(); ++i) {
      if (chosen_[i]) event.add_jobs(job_at(i).number.value());
    }
    decision.answer = Reopened{static_cast<std::uint32_t>(event.jobs_size()), false};
    if (event.jobs_size() == 0) return decision;
    event.set_sweep(sweep_.number.value());
    event.set_cause(cause);
    event.set_key(key);
    *decision.events.emplace_back().mutable_jobs_reopened() = std::move(event);
    return decision;
  }

 private:
  [[nodiscard]] const Job& job_at(sweeps::JobIndex index) const {
    return *state_.job(JobNumber(sweep_.first.value() + index));
  }
  [[nodiscard]] bool has_inputs(const Job& job) const { return job.inputs.size() == state_.planned(job).needs.size(); }
  [[nodiscard]] bool needs_chosen(const Job& job) const {
    const auto chosen = [&](sweeps::JobIndex index) -> bool { return chosen_[index]; };
    const auto any = [&](const sweeps::Contender& contender) { return std::ranges::any_of(contender.jobs, chosen); };
    return std::ranges::any_of(state_.planned(job).needs,
                               [&](const sweeps::Need& need) { return std::ranges::any_of(need.contenders, any); });
  }

  const State& state_;
  const Sweep& sweep_;
  std::vector<bool> chosen_;
};

// The key is remembered with its operation: another operation with it is another request.
std::string remembered(const std::string& operation, const std::string& key) {
  return key.empty() ? "" : operation + "\n" + key;
}

// What both ask first: a repeated request, or a cancel that is still on its way. nullopt: go on.
std::optional<Decision> settled(const Sweep& sweep, const std::string& key) {
  if (const auto seen = sweep.reopened.find(key); !key.empty() && seen != sweep.reopened.end()) {
    Decision decision;
    decision.answer = Reopened{seen->second, true};
    return decision;
  }
  if (sweep.outcome.empty() && sweep.cancel_cause)
    return refuse(Errc::failed_precondition, "the sweep is being cancelled: try again when it has ended");
  return std::nullopt;
}

// Why a job in this phase is not run again; empty: it is.
std::string why_not(const Job& job) {
  switch (phase_of(job)) {
    case Phase::succeeded:
      return "the job has succeeded, and a result is never overwritten: submit it with another seed or setting";
    case Phase::stopped:
      return "its search has stopped the job, and a verdict stands: submit the sweep without `stop` to train it whole";
    case Phase::skipped:
      return "the job was skipped for the want of an input: rerun what it needs, and it follows";
    default:
      return may_reopen(phase_of(job)) ? "" : std::string("the job has not ended: it is ") + name_of(phase_of(job));
  }
}

}  // namespace

Decision decide_retry(const Context& context, const RetrySweep& command) {
  const Sweep* sweep = context.state.sweep(command.sweep);
  if (sweep == nullptr) return refuse(Errc::not_found, "there is no such sweep");
  const std::string key = remembered("retry", command.idempotency_key);
  if (auto decision = settled(*sweep, key)) return *std::move(decision);
  Choice choice(context.state, *sweep);
  for (sweeps::JobIndex i = 0; i < sweep->plan->jobs.size(); ++i) {
    const Job& job = *context.state.job(JobNumber(sweep->first.value() + i));
    if (choice.failed(job) || choice.lacks_outside(job)) choice.take(job);
  }
  choice.take_dependents();
  return choice.decide("a person wants what failed tried again", key);
}

Decision decide_rerun(const Context& context, const RerunJob& command) {
  const Job* job = context.state.job(command.job);
  if (job == nullptr) return refuse(Errc::not_found, "there is no such job");
  const Sweep& sweep = *context.state.sweep(job->sweep);
  const std::string key = remembered("rerun " + std::to_string(job->number.value()), command.idempotency_key);
  if (auto decision = settled(sweep, key)) return *std::move(decision);
  Choice choice(context.state, sweep);
  if (const std::string why = why_not(*job); !why.empty() && !choice.lacks_outside(*job))
    return refuse(Errc::failed_precondition, why);
  if (choice.verdict_is_stop(*job))
    return refuse(Errc::failed_precondition, "the search has stopped the job's setting, and a verdict stands");
  choice.take(*job);
  choice.take_dependents();
  return choice.decide("a person wants the job run again", key);
}

}  // namespace fathom::core
