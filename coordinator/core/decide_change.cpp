// Operations on a sweep that runs: pause, resume, other limits and priority; and the end of its messages.
#include <algorithm>

#include "coordinator/core/deciders.hpp"

namespace fathom::core {
namespace {

constexpr std::uint32_t kHighestPriority = 100, kHighestWeight = 1000;  // as in sweep files

// Whether something is asked for that is not so already.
template <class T>
bool differs(const std::optional<T>& wanted, const T& is) {
  return wanted && *wanted != is;
}

// Whether somebody runs who was not asked yet.
bool may_hand_back(const Sweep& sweep) {
  return std::ranges::any_of(sweep.active, [&](sweeps::JobIndex index) {
    const Job& job = sweep.jobs[index];
    return !job.handing_back && (phase_of(job) == Phase::leased || phase_of(job) == Phase::running);
  });
}

}  // namespace

// Only what changes is in the event, so that a request that comes twice makes one.
Decision decide_change(const Context& context, const ChangeSweep& command) {
  const Sweep* sweep = context.state.sweep(command.sweep);
  if (sweep == nullptr) return refuse(Errc::not_found, "there is no such sweep");
  // Limits of one that has ended are those of a retry.
  if (command.paused && !sweep->outcome.empty())
    return refuse(Errc::failed_precondition, "the sweep has already ended: " + sweep->outcome);
  if (command.now && !command.paused.value_or(false))
    return refuse(Errc::invalid_argument, "\"now\" is a way to pause: say \"paused\": true with it");
  if (command.priority && *command.priority > kHighestPriority)
    return refuse(Errc::invalid_argument, "a priority is a whole number from 0 to 100");
  if (command.weight && (*command.weight < 1 || *command.weight > kHighestWeight))
    return refuse(Errc::invalid_argument, "a weight is a whole number from 1 to 1000");
  if (command.wall_seconds.value_or(0) < 0 || command.job_wall_seconds.value_or(0) < 0)
    return refuse(Errc::invalid_argument, "a limit of time is not negative");
  event::SweepChanged change;
  const sweeps::Limits& limits = sweep->limits;
  if (differs(command.paused, sweep->paused_ms.has_value())) change.set_paused(*command.paused);
  if (command.now && may_hand_back(*sweep)) change.set_now(true);
  if (differs(command.priority, sweep->priority)) change.set_priority(*command.priority);
  if (differs(command.weight, sweep->weight)) change.set_weight(*command.weight);
  if (differs(command.concurrency, limits.concurrency)) change.set_concurrency(*command.concurrency);
  if (differs(command.wall_seconds, limits.wall_seconds)) change.set_wall_seconds(*command.wall_seconds);
  if (differs(command.job_wall_seconds, limits.job_wall_seconds))
    change.set_job_wall_seconds(*command.job_wall_seconds);
  if (differs(command.failed, limits.failed)) change.set_failed(*command.failed);
  Decision decision;
  if (change.ByteSizeLong() == 0) return decision;
  change.set_sweep(sweep->number.value());
  *decision.events.emplace_back().mutable_sweep_changed() = std::move(change);
  return decision;
}

Decision decide_settle(const Context& context, const SettleNotice& command) {
  Decision decision;
  if (!context.state.notices.contains(command.notice)) return decision;
  auto* event = decision.events.emplace_back().mutable_notice_settled();
  event->set_notice(command.notice);
  event->set_delivered(command.delivered);
  event->set_why(command.why);
  return decision;
}

}  // namespace fathom::core
