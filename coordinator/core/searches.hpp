// Jobs of which something is known only while their sweep runs: parameters that are drawn (`sampler: tpe`), not before
// one of a setting is the next to get a slot, so that each draw knows as much as it can (docs/decisions/0026); and sets
// of fusions that are chosen by results (`sets: {greedy: k}`), when all that they are chosen by has ended (0028).
// Thread: the core's strand.
#pragma once

#include <string>

#include "common/result.hpp"
#include "coordinator/core/event.pb.h"
#include "coordinator/core/state.hpp"

namespace fathom::core {

// It has no parameters yet, and cannot be given out.
bool awaits_point(const Sweep& sweep, sweeps::JobIndex index);
// The point of its setting, drawn from what the other settings of its group came to so far.
event::Event draw_point(const State& state, const Sweep& sweep, sweeps::JobIndex index);

// Its set is not chosen yet.
bool awaits_set(const Sweep& sweep, sweeps::JobIndex index);

// For evolve() and restores: what DrawnJob::point says is known from here on. The queues are not told. Fails for a text
// that says nothing of this job, or where it is known already.
Status know_drawn(State& state, Sweep& sweep, sweeps::JobIndex index, const std::string& text);

}  // namespace fathom::core
