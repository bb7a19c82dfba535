// How long a plan takes, from what jobs of an earlier sweep took. Thread: free functions; plain values.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/result.hpp"
#include "sweeps/plan.hpp"

namespace fathom::cli {

// Medians over the measured jobs (jobs.csv of `fathom collect`: task, epochs, seconds).
struct Rates {
  std::map<std::string, double> by_task;  // seconds of an epoch
  std::optional<double> any;              // over all tasks: for a task that was never measured
  std::optional<double> untrained;        // seconds of a job that does not train (prune, evaluate)
  std::size_t measured = 0;               // jobs
};
Result<Rates> read_rates(const std::string& jobs_csv);

struct Estimate {
  double slot_seconds = 0;  // of all jobs together, nothing stopped early
  double seconds = 0;       // on so many slots, each job after those it needs
  std::size_t unknown = 0;  // jobs whose time is not known from the rates; counted as 0
};
Estimate estimate(const sweeps::Plan& plan, const Rates& rates, std::uint32_t slots);

// "1 h 5 min", "12 s"
std::string time_text(double seconds);

}  // namespace fathom::cli
