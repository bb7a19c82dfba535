// Jobs of a sweep that extends another one (Plan::extends): they go on from where jobs ended that were to train fewer
// epochs (docs/decisions/0032). Thread: the core's strand. Failure: none.
#pragma once

#include <optional>

#include "coordinator/core/event.pb.h"
#include "coordinator/core/state.hpp"

namespace fathom::core {

// Before the job's first lease: the checkpoint it goes on from, as an event. nullopt: none, or it has one.
std::optional<event::Event> take_checkpoint(const State& state, const Sweep& sweep, sweeps::JobIndex index);

}  // namespace fathom::core
