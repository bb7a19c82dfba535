// Which job's model a Need takes, once the jobs it looks at have ended (docs/sweeps.md "needs"). Pure.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "sweeps/plan.hpp"

namespace fathom::sweeps {

enum class Outcome { open, succeeded, stopped, failed };  // failed: Failed, Diverged, Cancelled, Skipped

struct JobResult {
  Outcome outcome = Outcome::open;
  std::optional<double> objective;  // of the best epoch, where there is one
};

struct Waiting {
  JobIndex on = 0;
};  // the first job that has to end before a choice can be made
struct Chosen {
  JobIndex job = 0;
  double mean = 0;  // or what the need's stat says
};
struct Missing {
  std::string why;
};  // no contender qualifies

// Among the need's contenders; those of other sweeps are made contenders first, by who knows these. `result` is asked
// for every job of the need. Never chooses while a contender is open.
std::variant<Waiting, Chosen, Missing> select(const Need& need, const std::function<JobResult(JobIndex)>& result);

}  // namespace fathom::sweeps
