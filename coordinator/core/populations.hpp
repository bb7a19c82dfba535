// Populations (`method: pbt`): a member that has fallen behind pauses, and goes on from the checkpoint of a better one
// with parameters next to that one's (docs/decisions/0029). Who falls behind is sweeps::Stopper's to say; here is what
// becomes of it. Thread: the core's strand.
#pragma once

#include <string>

#include "common/result.hpp"
#include "coordinator/core/event.pb.h"
#include "coordinator/core/state.hpp"

namespace fathom::core {

// A method that clones judges the job.
bool is_member(const Sweep& sweep, sweeps::JobIndex index);

// For a job of Pending::clone: the clone that it becomes; where nobody who is better has left a checkpoint, the verdict
// that it goes on as it was.
event::Event clone(const State& state, const Job& job);

// For evolve() and restores: what DrawnJob::point says of a clone is known from here on, instead of what was before.
// Fails for a text that says nothing of this job.
Status know_clone(State& state, Sweep& sweep, sweeps::JobIndex index, const std::string& text);

// "cloned from JOB after epoch 4, with train.lr 0.0003"; empty: it was never cloned. For people.
std::string describe_clone(const State& state, const Job& job);

}  // namespace fathom::core
