// Everything the coordinator decides from. Made by evolve() from the log and by nothing else, so that the same log
// gives the same state (digest() in inspect.hpp). Indexes are kept beside the data they index, so that no step looks at
// all jobs; invariants() in inspect.hpp checks them against the data. Thread: plain values; the strand that owns Core.
// Failure: none.
#pragma once

#include <array>
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

#include "coordinator/core/job.hpp"
#include "coordinator/core/job_set.hpp"
#include "coordinator/core/stop_group.hpp"

namespace fathom::core {

using Counts = std::array<std::uint32_t, kPhases>;  // by Phase

// Who looks at a job: the dependents of job i are edges[first[i]] … edges[first[i + 1] - 1].
struct Dependents {
  struct Edge {
    sweeps::JobIndex job = 0;
    std::uint32_t need = 0;
  };
  std::vector<std::uint32_t> first;
  std::vector<Edge> edges;
};

// What the first attempt that started says of a task's data: it binds the sweep.
struct TaskBinding {
  std::string data_sha256;    // empty: not known yet
  std::uint32_t seekers = 0;  // jobs of the task that wait in a queue or have a lease: who will say it
};

// A job of which something is known only while its sweep runs: parameters that were drawn (`sampler: tpe`), the set
// of a fusion (`sets: {greedy: k}`), or what a member of a population goes on with since it was cloned (`method: pbt`).
struct DrawnJob {
  std::string point;  // canonical JSON: the point, the chosen set, or the clone (populations.cpp)
  sweeps::JobId id;   // by it results are known: that of a job of a listed point; of a clone, of its parent too
  sweeps::Job job;    // instead of the plan's
};

// The jobs of a plan by their id: 16 bytes a job.
class JobIndexes {
 public:
  JobIndexes() = default;
  explicit JobIndexes(const sweeps::Plan& plan);
  // The first that has it; nothing where none has.
  [[nodiscard]] std::optional<sweeps::JobIndex> find(sweeps::JobId id) const;

 private:
  std::vector<std::pair<sweeps::JobId, sweeps::JobIndex>> sorted_;
};

struct Sweep {
  SweepNumber number;
  std::string id;  // name, made unique
  std::shared_ptr<const sweeps::Plan> plan;
  JobNumber first;  // job i of the plan has number first + i
  std::string idempotency_key;
  std::uint64_t content = 0;        // hash of the resolved text
  std::uint64_t submitted_seq = 0;  // of the event that made it: where its text is
  std::string model;                // path of the base model: warm devices are preferred
  std::int64_t submitted_ms = 0, ended_ms = 0;
  std::optional<std::string> cancel_cause;
  bool cancelled_by_limit = false;
  bool finishing = false;  // cancelled, and what held a lease goes on to its end; nothing of it is started again
  std::string outcome;     // empty: open; succeeded | failed | cancelled
  // How it runs: from the plan, until a person changes it.
  std::uint32_t priority = 50, weight = 1;
  sweeps::Limits limits;
  std::optional<std::int64_t> paused_ms;  // Unix ms since when nothing of it is started
  std::int64_t wall_from_ms = 0;          // limits.wall counts from here: the submit or a retry, moved on by pauses
  std::uint64_t share = 0;                // fair share: when its next turn is, on the clock of its priority
  std::uint64_t passed_from = 0;          // State::grants when it last got a slot or began to want one
  std::map<std::string, std::uint32_t> reopened;  // jobs that a retry or rerun opened again, by operation and key
  Counts counts{};                                // sum = plan->jobs.size()
  std::vector<Counts> stage_counts;
  std::vector<std::int64_t> took_us;  // per stage: of a job from its start to its end, lately; -1: none has ended
  JobSet ready;                       // those that share a device
  JobSet ready_alone;                 // suspects of a crash, and benchmarks
  JobSet aside;                       // Ready, and in no queue: another job has or makes its result (cache.hpp)
  JobSet active;                      // with a lease
  std::string base_sha256;            // of the model, as the first attempt that started says; empty: not known
  std::map<std::string, TaskBinding> bindings;  // by task
  Dependents dependents;                        // of an open sweep
  std::vector<StopGroup> groups;
  std::vector<std::uint32_t> group_of;       // per job, kNoGroup: never stopped early; empty: no stage stops
  std::vector<sweeps::JobIndex> setting_of;  // per job: the first job of its setting
  JobIndexes by_id;
  std::map<sweeps::JobIndex, DrawnJob> drawn;
};

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
  std::vector<Job> jobs;        // job number n is jobs[n - 1]
  std::vector<Sweep> sweeps;    // sweep number n is sweeps[n - 1]
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
  std::unordered_multimap<sweeps::JobId, JobNumber> results;   // Succeeded, with a result that others take
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

  // nullptr: there is none.
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
