#include <algorithm>
#include <cmath>

#include "coordinator/core/core.hpp"
#include "coordinator/core/deciders.hpp"
#include "coordinator/core/machine.hpp"

namespace fathom::core {

void write_fence(const Fence& fence, std::uint64_t sequence, event::Fence* to) {
  to->set_job(fence.job.value());
  to->set_generation(fence.generation);
  to->set_attempt(fence.attempt);
  to->set_lease(fence.lease.value());
  to->set_sequence(sequence);
}

// In floating point, so that no number of tries overflows before the cap is applied.
Millis backoff_delay(const Options& options, JobNumber job, std::uint32_t attempt, std::uint32_t tries) {
  const double cap = static_cast<double>(options.backoff_cap.count());
  const double doubled =
      std::ldexp(static_cast<double>(options.backoff_base.count()), static_cast<int>(std::min(tries, 30U)) - 1);
  // Not random: the same job and attempt wait as long in a simulation that is run again.
  const std::uint64_t hash = hash_of(std::to_string(job.value()) + "/" + std::to_string(attempt));
  const double jitter = 0.8 + 0.4 * static_cast<double>(hash >> 11) / static_cast<double>(1ULL << 53);
  return Millis(static_cast<std::int64_t>(std::min(doubled, cap) * jitter));
}

Decision decide(const State& state, const Command& command, const Due& due, const Options& options, Now now) {
  // One overload for each command: a new one that is forgotten here does not compile.
  const Context context{state, options, now};
  struct Visitor {
    const Context& context;
    const Due& due;
    Decision operator()(const Start& start) const {
      Decision decision;
      auto* event = decision.events.emplace_back().mutable_coordinator_started();
      event->set_epoch(context.state.epoch + 1);
      event->set_version(start.version);
      decision.answer = Started{event->epoch()};
      return decision;
    }
    Decision operator()(const SubmitSweep& c) const { return decide_submit(context, c); }
    Decision operator()(const CancelSweep& c) const { return decide_cancel(context, c); }
    Decision operator()(const ChangeSweep& c) const { return decide_change(context, c); }
    Decision operator()(const RetrySweep& c) const { return decide_retry(context, c); }
    Decision operator()(const RerunJob& c) const { return decide_rerun(context, c); }
    Decision operator()(const PinResult& c) const { return decide_pin(context, c); }
    Decision operator()(const SettleNotice& c) const { return decide_settle(context, c); }
    Decision operator()(const CancelJob& c) const { return decide_cancel(context, c); }
    Decision operator()(const WorkerHello& c) const { return decide_hello(context, c); }
    Decision operator()(const WorkerGone& c) const { return decide_gone(context, c); }
    Decision operator()(const Heartbeat& c) const { return decide_heartbeat(context, c); }
    Decision operator()(const ItemReceived& c) const { return decide_item(context, c); }
    Decision operator()(const ResultsRead& c) const { return decide_reuse(context, c); }
    Decision operator()(const Tick&) const { return decide_due(context, due); }
  };
  return std::visit(Visitor{context, due}, command);
}

}  // namespace fathom::core
