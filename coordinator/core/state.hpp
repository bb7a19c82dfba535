// Everything the coordinator decides from. Made by evolve() from the log and by nothing else, so that the same log
// gives the same state (digest() in inspect.hpp). Indexes are kept beside the data they index, so that no step looks at
// all jobs; invariants() in inspect.hpp checks them against the data. Thread: plain values; the strand that owns Core.
// Failure: none.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "coordinator/core/result_index.hpp"
#include "coordinator/core/sweep_table.hpp"

namespace fathom::core {

// One attempt's right to run. Ends with the state that holds it.
struct Lease {
  Fence fence;
  WorkerNumber worker;
  std::vector<std::uint32_t> devices;  // indexes into Worker::devices: one, of a gang one for each rank
  bool alone = false;
};

enum class WorkerState : std::uint8_t { ready, draining, gone };
const char* name_of(WorkerState state);

struct DeviceState {
  Device device;
  std::uint32_t running = 0;  // leases on it; beyond its slots they wait there (run_ahead.hpp)
  bool alone = false;         // one of them shares with nobody
  std::string model, task;    // of the newest lease: what its trainer holds
  std::uint32_t strikes = 0;  // trainers in a row that the watchdog ended here
  bool excluded = false;      // too many: gets no job until its worker is started again
};
struct Worker {
  WorkerNumber number;
  std::string uid, name;
  WorkerState state = WorkerState::ready;
  std::string unfit;  // why it takes no jobs for now, in its words; only while it is draining
  std::vector<DeviceState> devices;
  std::set<LeaseId> leases;
};

// A device that has a free slot, the emptiest first, then by number.
struct FreeDevice {
  std::uint32_t running = 0;  // in FreeDevices::ahead: beyond its slots
  WorkerNumber worker;
  std::uint32_t device = 0;
  auto operator<=>(const FreeDevice&) const = default;
};
// Devices of ready workers with a free slot that nobody has alone: all, and by what their trainer holds ("model" and
// "model\ntask"). Those without one that would keep another job waiting are in `ahead`.
struct FreeDevices {
  std::set<FreeDevice> all, ahead;
  std::map<std::string, std::set<FreeDevice>> warm;
};

// A message that a webhook is to get: kept until it was taken or is given up, so that no crash loses it.
struct Notice {
  std::uint64_t seq = 0;  // of the event that it is about
  SweepNumber sweep;
  JobNumber job;           // 0: about the whole sweep
  std::string what;        // done | failed | cancelled | job_failed
  std::uint32_t hook = 0;  // index into Plan::notify
  std::int64_t wall_ms = 0;
};

// What evolve() leaves for follow_up() to decide, by events of the same step. Only what an event will follow for.
struct Pending {
  std::set<JobNumber> resolve;                               // Blocked, and everything its needs look at has ended
  std::set<std::pair<SweepNumber, sweeps::JobIndex>> judge;  // settings with a value at their next rung
  std::set<std::pair<SweepNumber, std::uint32_t>> overdue;   // groups with verdicts that were held and are due
  std::set<JobNumber> stop;                                  // their setting has the verdict stop
  std::set<JobNumber> pause, resume;                         // at a rung without a verdict; Paused, and it is given
  std::set<JobNumber> clone;                                 // Paused, and to go on from another job's checkpoint
  std::set<JobNumber> withdraw;                              // have a lease, and another job has or makes their result
  std::set<JobNumber> fetch;                                 // Blocked, models of other sweeps are chosen: to be read
  std::set<JobNumber> recall;                                // aside, and their result is known: to be read
  std::set<SweepNumber> check;                               // every job ended, or more failed than limits.failed
};

struct State {
  std::uint64_t seq = 0;        // of the last event
  std::uint64_t epoch = 0;      // of the coordinator
  std::int64_t wall_ms = 0;     // of the last event, Unix ms
  SweepTable sweeps;            // with their jobs; sweep number n is sweeps[n - 1]
  std::vector<Worker> workers;  // worker number n is workers[n - 1]
  std::map<LeaseId, Lease> leases;
  std::uint64_t next_lease = 1;
  std::uint64_t grants = 0;                            // so far, of all sweeps
  std::map<std::uint32_t, std::uint64_t> share_clock;  // by priority: the turn that was granted last
  std::set<SweepNumber> open_sweeps;
  std::unordered_map<std::string, SweepNumber> sweep_by_id, sweep_by_key;
  std::unordered_map<std::string, WorkerNumber> worker_by_uid;
  std::unordered_map<SmallText, std::uint32_t, SmallText::Hash, SmallText::Equal>
      checkpoint_uses;  // by hash: jobs that keep it
  // By asked_id().
  ResultIndex results;                                         // of jobs that Succeeded with one that others take
  std::unordered_multimap<sweeps::JobId, JobNumber> training;  // with a lease
  std::unordered_multimap<sweeps::JobId, JobNumber> drawn;     // jobs with a point that was drawn
  // By sweep that Blocked jobs of others look at (its id, whether it is there or not): these jobs, and the job that
  // each waits for, as far as it is known (0: none).
  std::map<std::string, std::map<JobNumber, JobNumber>> outside;
  std::unordered_set<SmallText, SmallText::Hash, SmallText::Equal> names;  // common()
  std::set<JobNumber> pinned;                                              // their results have no age
  std::map<std::uint64_t, Notice> notices;                                 // open ones, by number
  std::uint64_t next_notice = 1;
  FreeDevices free;
  Pending pending;

  // What many jobs have alike, once for all of them: names of devices, paths of checkpoints. Of more than some thousand
  // different ones each is its own.
  [[nodiscard]] SmallText common(const std::string& name);
  // Shares its path, and its hash with those who keep the same file.
  [[nodiscard]] KeptCheckpoint kept(const Checkpoint& checkpoint);

  // Jobs of all sweeps; those of sweeps that were put away too.
  [[nodiscard]] std::uint64_t jobs() const { return sweeps.jobs(); }
  // nullptr: there is none. A sweep that was put away comes back for it.
  [[nodiscard]] const Job* job(JobNumber number) const;
  [[nodiscard]] Job* job(JobNumber number);
  [[nodiscard]] const Sweep* sweep(SweepNumber number) const;
  [[nodiscard]] Sweep* sweep(SweepNumber number);
  [[nodiscard]] const Worker* worker(WorkerNumber number) const;
  [[nodiscard]] Worker* worker(WorkerNumber number);
  // By what people type: a sweep's id, a job's 16 hex digits inside it.
  [[nodiscard]] const Sweep* find_sweep(const std::string& id) const;
  [[nodiscard]] const Job* find_job(const Sweep& sweep, const std::string& id) const;
  [[nodiscard]] const Job* find_job(const Sweep& sweep, sweeps::JobId id) const;
  [[nodiscard]] const sweeps::Job& planned(const Job& job) const;  // as the plan has it, or as drawn
};

}  // namespace fathom::core
