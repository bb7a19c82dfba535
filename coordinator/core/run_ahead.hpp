// Leases ahead of need: when every slot is taken, a device may be given jobs that wait in its worker behind those that
// run, so that the end of one is the start of the next without a round trip. Only jobs that are short beside what a
// person or another sweep would wait for them, only what leaves enough in the queue for slots that come free
// elsewhere, and nothing that is decided at its start. Why so: docs/decisions/0022.
// Pure; thread: the core's strand.
#pragma once

#include <cstdint>

#include "coordinator/core/state.hpp"

namespace fathom::core {

// So much work waits on a device, at least one job.
inline constexpr std::int64_t kAheadWorkUs = 50'000;
// Longer jobs are never given out ahead: a queue beside an idle device would cost more than the round trips.
inline constexpr std::int64_t kAheadLongestUs = 10'000'000;

// The device on which this job may wait now, of State::free.ahead; nullptr: none. No slot is free.
[[nodiscard]] const FreeDevice* place_ahead(const State& state, const Sweep& sweep, sweeps::JobIndex index);

// An attempt that was started has ended as it should, or was stopped: Sweep::took_us of its stage follows (a moving
// mean over about eight).
void count_time(Sweep& sweep, const Job& job, std::int64_t ended_wall_ms);

// Given out, not started, and the jobs before it fill its device.
[[nodiscard]] bool waits_ahead(const State& state, const Job& job);

}  // namespace fathom::core
