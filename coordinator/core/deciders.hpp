// Inside the core: one function per command, called by decide() alone. Nothing is changed; what is refused says why.
// Thread: free functions without state.
#pragma once

#include <string>

#include "coordinator/core/core.hpp"

namespace fathom::core {

// What a decision depends on beside the command.
struct Context {
  const State& state;
  const Options& options;
  Now now;
};

// decide_sweeps.cpp
Decision decide_submit(const Context& context, const SubmitSweep& command);
Decision decide_cancel(const Context& context, const CancelSweep& command);
Decision decide_cancel(const Context& context, const CancelJob& command);
Decision decide_due(const Context& context, const Due& due);
// decide_change.cpp
Decision decide_change(const Context& context, const ChangeSweep& command);
Decision decide_settle(const Context& context, const SettleNotice& command);
// decide_reopen.cpp
Decision decide_retry(const Context& context, const RetrySweep& command);
Decision decide_rerun(const Context& context, const RerunJob& command);
// decide_reuse.cpp
Decision decide_reuse(const Context& context, const ResultsRead& command);
Decision decide_pin(const Context& context, const PinResult& command);
// decide_needs.cpp: of ResultsRead, what was read for jobs that take models of other sweeps.
void bind_needs(const Context& context, const ResultsRead& command, Decision& decision);
// decide_workers.cpp
Decision decide_hello(const Context& context, const WorkerHello& command);
Decision decide_gone(const Context& context, const WorkerGone& command);
Decision decide_heartbeat(const Context& context, const Heartbeat& command);
// decide_items.cpp
Decision decide_item(const Context& context, const ItemReceived& command);

// Into an event. sequence: of the item that caused it, 0: none did.
void write_fence(const Fence& fence, std::uint64_t sequence, event::Fence* to);
// Of the newest attempt, whether it still lives or not.
inline Fence fence_of(const Job& job) { return {job.number, job.generation, job.attempt, job.lease}; }
// The lease of this very fence, held by this worker; nullptr: it is not (any more) the worker's.
const Lease* lease_of(const State& state, WorkerNumber worker, const Fence& fence);

// Nothing happens; who asked reads why.
inline Decision refuse(Errc code, std::string message) {
  Decision decision;
  decision.rejection = Error{code, std::move(message)};
  return decision;
}

}  // namespace fathom::core
