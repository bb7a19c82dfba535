// How long a plan takes, from what jobs of an earlier sweep took. Thread: free functions; plain values.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/result.hpp"
#include "sweeps/plan.hpp"

namespace fathom::cli {

// Medians over the measured jobs (jobs.csv of `fathom collect`: task, drop, epochs, seconds, steps, steps_per_s). An
// epoch's time is its steps over the measured steps/s; what a job took beyond that (start, evaluation, checkpoints) is
// its overhead. An epoch has the same rows whatever the batch, so its time holds for other batches as well.
struct Rates {
  std::map<std::pair<std::string, std::string>, double> by_drop;  // seconds of an epoch, by task and drop
  std::map<std::string, double> by_task;                          // over all its drops
  std::optional<double> any;                                      // over all tasks: for a task that was never measured
  std::optional<double> untrained;  // seconds of a job that does not train (prune, evaluate)
  double overhead = 0;              // seconds of a job that trains
  std::size_t measured = 0;         // jobs
};
Result<Rates> read_rates(const std::string& jobs_csv);

struct Estimate {
  double slot_seconds = 0;  // of all jobs together that are trained, nothing stopped early
  double seconds = 0;       // on so many slots, each job after those it needs
  std::size_t unknown = 0;  // jobs whose time is not known from the rates; counted as 0
};
// `known`: ids of jobs that have a result already and take no time.
Estimate estimate(const sweeps::Plan& plan, const Rates& rates, std::uint32_t slots,
                  const std::set<std::string>& known = {});

// "1 h 5 min", "12 s"
std::string time_text(double seconds);

}  // namespace fathom::cli
