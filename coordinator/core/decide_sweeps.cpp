// Commands about sweeps and jobs as a whole, and what time brings.
#include <algorithm>
#include <cctype>
#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "coordinator/core/deciders.hpp"
#include "coordinator/core/machine.hpp"
#include "sweeps/extend.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::core {
namespace {

constexpr std::size_t kLongestName = 100;  // characters of a sweep's name; it becomes a folder and a part of URLs

bool is_name(const std::string& name) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
  return !name.empty() && name.size() <= kLongestName && std::isalnum(static_cast<unsigned char>(name[0])) != 0 &&
         std::ranges::all_of(name, plain);
}

// name, name-2, name-3, …: one that no sweep has, right behind one that a sweep has. Looked for by doubling and then
// halving the distance, since people submit one file thousands of times.
std::string unique_id(const State& state, const std::string& name) {
  if (!state.sweep_by_id.contains(name)) return name;
  const auto numbered = [&](std::uint64_t n) { return name + "-" + std::to_string(n); };
  std::uint64_t last = 1, open = 2;  // `last` is taken, `open` will be free
  for (; state.sweep_by_id.contains(numbered(open)); open *= 2) last = open;
  while (open - last > 1) {
    const std::uint64_t middle = last + (open - last) / 2;
    (state.sweep_by_id.contains(numbered(middle)) ? last : open) = middle;
  }
  return numbered(open);
}

// Who submits has expanded the file to answer with its mistakes; a test or a tool may not have.
Result<PlanPtr> plan_of(const SubmitSweep& command) {
  if (command.plan) return command.plan;
  sweeps::Sweep sweep{nlohmann::json::parse(command.resolved, nullptr, false)};
  if (sweep.resolved.is_discarded()) return Error{Errc::invalid_argument, "the resolved sweep is not JSON"};
  FATHOM_ASSIGN(sweeps::Plan plan, sweeps::expand(sweep));
  return PlanPtr(std::make_shared<const sweeps::Plan>(std::move(plan)));
}

// The key was seen: a repeated request whose first answer was lost gets that answer again.
Decision submit_again(const Sweep& sweep, const SubmitSweep& command) {
  if (sweep.content != hash_of(command.resolved)) {
    return refuse(Errc::already_exists, "this Idempotency-Key was used to submit another sweep, " + sweep.id +
                                            ": send a new key with a new sweep");
  }
  Decision decision;
  decision.answer = Submitted{sweep.number, sweep.id, static_cast<std::uint32_t>(sweep.plan->jobs.size()), true};
  return decision;
}

void cancel_sweep(Decision& decision, const Sweep& sweep, const std::string& cause, bool by_limit,
                  bool finish = false) {
  auto* cancel = decision.events.emplace_back().mutable_sweep_cancel_requested();
  cancel->set_sweep(sweep.number.value());
  cancel->set_cause(cause);
  cancel->set_by_limit(by_limit);
  cancel->set_finish(finish);
}

void expire(const Context& context, const Lease& lease, Decision& decision) {
  const Job& job = *context.state.job(lease.fence.job);
  // The first loss since a checkpoint costs no wait: it is seldom the job's fault.
  const Millis delay =
      job.losses == 0 ? Millis(0) : backoff_delay(context.options, job.number, job.attempt, job.losses);
  auto* expired = decision.events.emplace_back().mutable_lease_expired();
  write_fence(lease.fence, 0, expired->mutable_fence());
  expired->set_suspect(job.losses + 1 >= kSuspectLosses);
  expired->set_delay_ms(delay.count());
  expired->set_until_wall_ms((context.now.wall + delay).time_since_epoch().count());
}

// The job is asked to stop as for any other wish; its end is a failure, by the table.
void limit_job(const Context& context, const Job& job, Decision& decision) {
  const std::int64_t limit = context.state.sweep(job.sweep)->limits.job_wall_seconds;
  auto* wish = decision.events.emplace_back().mutable_stop_wished();
  write_fence(fence_of(job), 0, wish->mutable_fence());
  wish->set_cause("limit");
  wish->set_text("limits.job_wall: it ran longer than " + std::to_string(limit) + " s");
}

}  // namespace

// Empty, or why the plan does not extend what it says.
std::string cannot_extend(const State& state, const sweeps::Plan& plan) {
  if (plan.extends.empty()) return {};
  const Sweep* from = state.find_sweep(plan.extends);
  if (from == nullptr) return "there is no sweep " + plan.extends + " to extend";
  const auto most = [](const sweeps::Plan& of) {
    std::uint32_t epochs = 0;
    for (const sweeps::Job& job : of.jobs) epochs = std::max(epochs, job.epochs);
    return epochs;
  };
  const std::uint32_t before = most(*from->plan);
  if (most(plan) > before) {
    for (const sweeps::Job& job : plan.jobs) {
      // What stays the same is no obstacle: its result is taken.
      std::string why = from->by_id.find(job.id) ? "" : sweeps::obstacle_to_more_epochs(plan, job);
      if (!why.empty()) return why;
    }
    return {};
  }
  return "jobs of " + plan.extends + " train " + std::to_string(before) +
         " epochs already; say more (an 'epochs' of a task or a stage goes before train.epochs)";
}

// Everything is checked here and numbered in the event; a submit that is refused leaves no trace.
Decision decide_submit(const Context& context, const SubmitSweep& command) {
  const State& state = context.state;
  if (const auto seen = state.sweep_by_key.find(command.idempotency_key); seen != state.sweep_by_key.end()) {
    return submit_again(*state.sweep(seen->second), command);
  }
  if (command.expander_version != sweeps::kExpanderVersion) {
    return refuse(Errc::unsupported, "the sweep was resolved by another version of fathom: submit the file again");
  }
  const Result<PlanPtr> plan = plan_of(command);
  if (!plan) return refuse(plan.error().code, plan.error().message);
  const std::string& name = command.name.empty() ? (*plan)->name : command.name;
  if (!is_name(name)) {
    return refuse(Errc::invalid_argument, "a sweep's name has 1 to " + std::to_string(kLongestName) +
                                              " letters, digits, '-', '_' or '.', the first a letter or digit; not \"" +
                                              name.substr(0, kLongestName) + "\"");
  }
  if (const std::string why = cannot_extend(state, **plan); !why.empty()) return refuse(Errc::invalid_argument, why);
  if ((*plan)->jobs.empty())
    return refuse(Errc::invalid_argument, "the sweep makes no job: check tasks, stages and exclude");
  const auto count = static_cast<std::uint32_t>((*plan)->jobs.size());
  Decision decision;
  auto* event = decision.events.emplace_back().mutable_sweep_submitted();
  event->set_sweep(static_cast<std::uint32_t>(state.sweeps.size() + 1));
  event->set_id(unique_id(state, name));
  event->set_first_job(state.jobs() + 1);
  event->set_jobs(count);
  event->set_resolved(command.resolved);
  event->set_yaml(command.yaml);
  event->set_file(command.file);
  event->set_idempotency_key(command.idempotency_key);
  event->set_expander_version(command.expander_version);
  decision.answer = Submitted{SweepNumber(event->sweep()), event->id(), count, false};
  return decision;
}

Decision decide_cancel(const Context& context, const CancelSweep& command) {
  const Sweep* sweep = context.state.sweep(command.sweep);
  if (sweep == nullptr) return refuse(Errc::not_found, "there is no such sweep");
  Decision decision;
  // Asked before, or ended meanwhile: what was asked for holds already.
  const bool asked = sweep->cancel_cause && (!sweep->finishing || command.finish);
  if (sweep->outcome.empty() && !asked) cancel_sweep(decision, *sweep, command.cause, false, command.finish);
  return decision;
}

Decision decide_cancel(const Context& context, const CancelJob& command) {
  const Job* job = context.state.job(command.job);
  if (job == nullptr) return refuse(Errc::not_found, "there is no such job");
  const Phase phase = phase_of(*job);
  if (phase == Phase::cancelling || phase == Phase::cancelled) return {};  // asked before
  if (!next(phase, Move::wish_cancel)) {
    return refuse(Errc::failed_precondition, std::string("the job has already ended: ") + name_of(phase));
  }
  Decision decision;
  auto* cancel = decision.events.emplace_back().mutable_job_cancel_requested();
  cancel->set_job(command.job.value());
  cancel->set_cause(command.cause);
  return decision;
}

// Timers are not taken back when what they watch ends: what no longer applies is passed over here.
Decision decide_due(const Context& context, const Due& due) {
  Decision decision;
  for (const LeaseId id : due.leases) {
    const auto lease = context.state.leases.find(id);
    if (lease != context.state.leases.end()) expire(context, lease->second, decision);
  }
  for (const JobNumber number : due.backoffs) {
    const Job* job = context.state.job(number);
    if (job == nullptr || phase_of(*job) != Phase::backoff) continue;
    decision.events.emplace_back().mutable_job_ready()->set_job(number.value());
  }
  for (const JobNumber number : due.job_walls) {
    const Job* job = context.state.job(number);
    // A lease that expires in the same moment ends the attempt already.
    const bool expired = job != nullptr && std::ranges::find(due.leases, job->lease) != due.leases.end();
    if (job != nullptr && !expired && next(phase_of(*job), Move::wish_limit)) limit_job(context, *job, decision);
  }
  for (const SweepNumber number : due.walls) {
    const Sweep* sweep = context.state.sweep(number);
    if (sweep == nullptr || !sweep->outcome.empty() || sweep->cancel_cause) continue;
    const std::int64_t limit = sweep->limits.wall_seconds;
    cancel_sweep(decision, *sweep, "limits.wall: the sweep took longer than " + std::to_string(limit) + " s", true);
  }
  return decision;
}

}  // namespace fathom::core
