// Jobs whose parameters are drawn while their sweep runs (`sampler: tpe`): not before one of a setting is the next to
// get a slot, so that each draw knows as much as it can. Which, and why then: docs/decisions/0026.
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

// For evolve() and restores: the parameters are known from here on. The queues are not told. Fails for a text that is
// no point.
Status set_point(State& state, Sweep& sweep, sweeps::JobIndex index, const std::string& point);

}  // namespace fathom::core
