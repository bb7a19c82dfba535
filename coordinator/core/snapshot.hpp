// The state as a sequence of records, and back. A restored state is equal to the one that was saved in every bit that
// digest() sees, so that the events after it apply as if the whole log had been replayed.
//
// What a plan says is not saved: restoring asks for the plan of each sweep by the event that submitted it, and takes
// queues, counters and the index of free devices from the jobs, leases and workers.
// Thread: free functions and plain values. Failure: a sink's error is passed on; restoring returns corrupt for records
// that do not fit together and unsupported for another version, and the Restorer is of no use then.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.hpp"
#include "coordinator/core/core.hpp"
#include "coordinator/core/snapshot.pb.h"

namespace fathom::core {

inline constexpr std::uint32_t kSnapshotVersion = 7;

// Everything but the head's log and program, which the caller fills in through `head`, and final files.
using RecordSink = std::function<Status(const snapshot::Record&)>;
Status save(const State& state, snapshot::Head head, const RecordSink& sink);

class Restorer {
 public:
  // The plan of the sweep that event `seq` submitted.
  using Plans = std::function<Result<PlanPtr>(std::uint64_t seq)>;
  // `shelf`: sweeps that were put away stay so and their plans are not asked for; without one they come into memory.
  explicit Restorer(Plans plans, std::shared_ptr<Shelf> shelf = nullptr) : plans_(std::move(plans)) {
    state_.sweeps.use(std::move(shelf));
  }
  // For the records of one sweep with this number alone.
  Restorer(Plans plans, SweepNumber alone);

  // Records in their order; final_files are passed over.
  Status take(const snapshot::Record& record);
  // After the last record. corrupt: it is not whole.
  Result<State> finish();
  // The same for one alone.
  Result<std::unique_ptr<Sweep>> finish_sweep();
  [[nodiscard]] const snapshot::Head& head() const { return head_; }
  // Of the state that was saved; known after the end.
  [[nodiscard]] const std::string& digest() const { return digest_; }

 private:
  Status take_head(const snapshot::Head& head);
  Status take_sweep(const snapshot::Record& record);
  Status take_jobs(const snapshot::Record& record);
  Status take_whole(const snapshot::Sweep& sweep);
  Status take_job(const snapshot::Job& saved, Sweep& sweep, sweeps::JobIndex index);
  Status know_away(const snapshot::Job& saved, JobNumber number);
  Status end_sweep();
  Status take_worker(const snapshot::Worker& worker);
  Status take_lease(const snapshot::Lease& lease);
  void take_pending(const snapshot::Pending& pending);

  Plans plans_;
  State state_;
  snapshot::Head head_;
  std::string digest_;
  // The sweep whose jobs come.
  struct Coming {
    std::uint64_t first = 0, submitted = 0, away = 0;  // away: its digest, if it stays on the shelf
    std::uint32_t jobs = 0, came = 0;
    std::string bytes;  // of one that stays there
    Counts counts{};
  };
  Coming coming_;
  bool pending_ = false;  // was there
  bool alone_ = false;
};

// Records one after the other, each after its length. corrupt: they are cut off or none.
void add_framed(const snapshot::Record& record, std::string& out);
Status each_framed(std::string_view bytes, const RecordSink& each);

// The records of one sweep with its jobs.
Status save_sweep(const Sweep& sweep, const RecordSink& sink);
// …as bytes, and back. corrupt: they are not those of a sweep with this number and plan.
std::string bytes_of_sweep(const Sweep& sweep);
Result<std::unique_ptr<Sweep>> restore_sweep(SweepNumber number, std::string_view bytes, PlanPtr plan);

}  // namespace fathom::core
