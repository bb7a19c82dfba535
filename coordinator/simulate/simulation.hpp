// One sweep on learning curves: the coordinator's own core (search, needs, scheduling, limits) with a virtual clock and
// one worker that takes its values from the curves. Thread: free functions; plain values.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "coordinator/simulate/curves.hpp"

namespace fathom::simulate {

struct JobEnd {
  std::string state;           // as in jobs.csv
  std::uint32_t epochs = 0;    // trained
  double seconds = 0;          // on a slot
  std::optional<double> best;  // of the epochs that were trained
  // Of a job whose parameters were drawn while the sweep ran: what they are, and the best of its whole curve.
  sweeps::JobParameters drawn;
  std::optional<double> whole;
};
struct Run {
  double makespan = 0;  // virtual seconds from submit to the sweep's end
  std::string outcome;
  std::vector<JobEnd> jobs;  // as in the plan
};

// Errors: those of the curves.
Result<Run> run(const std::shared_ptr<const sweeps::Plan>& plan, const Curves& curves, std::uint32_t slots);

// Both runs set side by side: `run` with the plan's stopping methods, `full` without any. Per comparison group the
// setting that is best when everything runs to its end, the one that is chosen among those that Succeeded, and by how
// much its value at full budget is worse (regret).
nlohmann::ordered_json compare(const sweeps::Plan& plan, const Run& run, const Run& full);
// The same for people.
std::string text_of(const nlohmann::ordered_json& comparison);

}  // namespace fathom::simulate
