// Which jobs a Blocked job takes as its inputs, from its own sweep and from others (docs/decisions/0030).
// Thread: the core's strand. Failure: none; nothing is changed.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "coordinator/core/effect.hpp"
#include "coordinator/core/state.hpp"
#include "sweeps/select.hpp"

namespace fathom::core {

struct ChosenInput {
  JobNumber job;
  double mean = 0;
  bool elsewhere = false;  // of another sweep
};
// The first need that nothing meets.
struct Lacking {
  const sweeps::Need* need = nullptr;  // of the plan
  std::string why;                     // for people
  JobNumber open;                      // of another sweep, has to end first; 0: none
};

// What select() may know of a job.
sweeps::JobResult result_of(const Job& job);
// Some member is of another sweep.
bool asks_elsewhere(const sweeps::Job& planned);
// One input for each need, in their order. All jobs of its own sweep that it looks at have ended.
std::variant<std::vector<ChosenInput>, Lacking> choose(const State& state, const Job& job);
// What has to be read of the log before a job of pending.fetch can have its inputs.
std::vector<ReadResults::Wanted> files_to_read(const State& state, const Job& job);

}  // namespace fathom::core
