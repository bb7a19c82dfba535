// The outbox: what webhooks are to be told, from the moment it happened until somebody took it. Kept in the state, so
// that a message survives every crash; one that was sent may be sent again after one.
// Thread: the core's strand.
#pragma once

#include <string>
#include <vector>

#include "coordinator/core/effect.hpp"
#include "coordinator/core/handlers.hpp"
#include "coordinator/core/state.hpp"

namespace fathom::core {

// For evolve(): a message for each hook of the sweep that wants to know.
void note(State& state, const Sweep& sweep, const std::string& what, JobNumber job, At at);
Status on(State& state, const event::NoticeSettled& event, At at);

// For effects(): the messages about the event `seq`; 0: all that are open.
std::vector<SendNotice> notices_of(const State& state, std::uint64_t seq);

}  // namespace fathom::core
