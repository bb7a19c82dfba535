// Asynchronous successive halving, stopping variant (Li et al., MLSys 2020, section 3; keep rule and rungs as in
// docs/sweeps.md "Early stopping"). A pure object: reports in, verdicts out; no clock, no randomness. The coordinator
// keeps one per comparison group, stores every entry and verdict as events and rebuilds it from them with restore().
#pragma once

#include <cstdint>
#include <vector>

#include "sweeps/plan.hpp"

namespace fathom::sweeps {

// Rungs in epochs: min·eta^k while < max, then max. Integer arithmetic only.
std::vector<std::uint32_t> rungs_of(const StopRule& rule);

class Asha {
 public:
  Asha(StopRule rule, Goal goal);

  struct Entry {
    JobIndex job = 0;
    std::uint32_t rung = 0;  // index into rungs()
    double value = 0;
    bool keep_going = true;  // the verdict, given once
  };

  // A report of `job` after `epoch` epochs: enters every rung with epoch >= rung that the job has not entered, in
  // rising order with this value, until one verdict is stop. Returns the new entries without storing them (decide); a
  // value that is not finite enters nothing, nor does a report after a stop. The last rung is the full budget: it is
  // recorded and never stops a job. Apply the entries with restore (evolve).
  [[nodiscard]] std::vector<Entry> judge(JobIndex job, std::uint32_t epoch, double value) const;
  void restore(const Entry& entry);

  [[nodiscard]] const std::vector<std::uint32_t>& rungs() const { return rungs_; }
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }

 private:
  // Whether a new entry with this value is no worse than the keep-th best of the rung, keep = max(1, floor(n / eta))
  // with the new entry counted in n. The first arrival always is.
  [[nodiscard]] bool survives(std::uint32_t rung, double value) const;

  StopRule rule_;
  Goal goal_;
  std::vector<std::uint32_t> rungs_;
  std::vector<Entry> entries_;  // in order of arrival
};

}  // namespace fathom::sweeps
