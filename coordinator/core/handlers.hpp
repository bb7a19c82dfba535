// Inside the core: one function per payload of the log, called by evolve() alone.
// Thread: the core's strand.
// Failure: an error when the event does not follow from the state; nothing is changed then.
#pragma once

#include <cstdint>

#include "common/result.hpp"
#include "coordinator/core/event.pb.h"
#include "coordinator/core/state.hpp"

namespace fathom::core {

// What every event carries beside its payload.
struct At {
  std::int64_t wall_ms = 0;
  std::uint64_t seq = 0;
};

// What attempts report (evolve_items.cpp).
Status on(State& state, const event::JobStarted& event, At at);
Status on(State& state, const event::ReportRecorded& event, At at);
Status on(State& state, const event::CheckpointCommitted& event, At at);
Status on(State& state, const event::CheckpointTaken& event, At at);
Status on(State& state, const event::JobFinished& event, At at);
Status on(State& state, const event::JobFailed& event, At at);
Status on(State& state, const event::JobBackedOff& event, At at);
Status on(State& state, const event::JobStopped& event, At at);
Status on(State& state, const event::LateItem& event, At at);

// Points that are drawn and sets that are chosen while a sweep runs (searches.cpp).
Status on(State& state, const event::PointDrawn& event, At at);
Status on(State& state, const event::SetChosen& event, At at);

// Members of populations that are cloned (populations.cpp).
Status on(State& state, const event::Exploited& event, At at);

// Leases and workers (evolve_leases.cpp).
Status on(State& state, const event::LeaseGranted& event, At at);
Status on(State& state, const event::LeaseExpired& event, At at);
Status on(State& state, const event::LeaseReleased& event, At at);
Status on(State& state, const event::WorkerJoined& event, At at);
Status on(State& state, const event::WorkerDraining& event, At at);
Status on(State& state, const event::WorkerGone& event, At at);
Status on(State& state, const event::WorkerFit& event, At at);
Status on(State& state, const event::DeviceStruck& event, At at);

// Results that other jobs have (evolve_reuse.cpp).
Status on(State& state, const event::JobReused& event, At at);
Status on(State& state, const event::ReuseRefused& event, At at);
Status on(State& state, const event::ResultPinned& event, At at);

// Jobs that ended and begin again (evolve_reopen.cpp).
Status on(State& state, const event::JobsReopened& event, At at);

std::vector<File> files_of(const google::protobuf::RepeatedPtrField<event::File>& files);

// What a job that ends without a final tree leaves: the best value that was seen.
Outcome seen(const Job& job);

// One use of it fewer; what nobody uses is not counted any more.
void let_go(State& state, const SmallCheckpoint& checkpoint);

// The job of a fence, if the fence is that of its newest attempt.
Result<Job*> attempt_of(State& state, const event::Fence& fence);

}  // namespace fathom::core
