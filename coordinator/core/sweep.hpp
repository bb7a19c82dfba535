// One sweep in the coordinator's memory, with its jobs and what is kept beside them so that no step looks at all.
// Thread: plain values, owned by State.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
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
  std::vector<Job> jobs;              // job i of the plan
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

}  // namespace fathom::core
