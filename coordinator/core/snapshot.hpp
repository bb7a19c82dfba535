// The state as a sequence of records, and back. A restored state is equal to the one that was saved in every bit that
// digest() sees, so that the events after it apply as if the whole log had been replayed.
//
// What a plan says is not saved: restoring asks for the plan of each sweep by the event that submitted it, and takes
// queues, counters and the index of free devices from the jobs, leases and workers.
// Thread: free functions and plain values. Failure: a sink's error is passed on; restoring returns corrupt for records
// that do not fit together and unsupported for another version, and the Restorer is of no use then.
#pragma once

#include <functional>
#include <string>

#include "common/result.hpp"
#include "coordinator/core/core.hpp"
#include "coordinator/core/snapshot.pb.h"

namespace fathom::core {

inline constexpr std::uint32_t kSnapshotVersion = 6;

// Everything but the head's log and program, which the caller fills in through `head`, and final files.
using RecordSink = std::function<Status(const snapshot::Record&)>;
Status save(const State& state, snapshot::Head head, const RecordSink& sink);

class Restorer {
 public:
  // The plan of the sweep that event `seq` submitted.
  using Plans = std::function<Result<PlanPtr>(std::uint64_t seq)>;
  explicit Restorer(Plans plans) : plans_(std::move(plans)) {}

  // Records in their order; final_files are passed over.
  Status take(const snapshot::Record& record);
  // After the last record. corrupt: it is not whole.
  Result<State> finish();
  [[nodiscard]] const snapshot::Head& head() const { return head_; }
  // Of the state that was saved; known after the end.
  [[nodiscard]] const std::string& digest() const { return digest_; }

 private:
  Status take_head(const snapshot::Head& head);
  Status take_sweep(const snapshot::Sweep& sweep);
  Status take_jobs(const snapshot::Jobs& jobs);
  Status take_worker(const snapshot::Worker& worker);
  Status take_lease(const snapshot::Lease& lease);
  void take_pending(const snapshot::Pending& pending);

  Plans plans_;
  State state_;
  snapshot::Head head_;
  std::string digest_;
  std::uint64_t jobs_ = 0;  // restored so far
  bool pending_ = false;    // was there
};

}  // namespace fathom::core
