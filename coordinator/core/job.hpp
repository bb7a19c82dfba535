// One job in the coordinator's memory: its state with the data that is valid in it, and what the attempts left behind.
// There are a hundred thousand of them in a sweep, most of which wait or have ended: what only those have that were
// given to a worker, or few of these, takes memory only there.
// Thread: plain values, owned by State.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/maybe_double.hpp"
#include "common/rare.hpp"
#include "common/small_text.hpp"
#include "coordinator/core/transitions.hpp"
#include "coordinator/core/types.hpp"
#include "sweeps/plan.hpp"

namespace fathom::core {

// The model a job leaves behind: what a need can take. Files are kept only while a dependent may still ask for them.
struct Outcome {
  MaybeDouble objective{};  // of the best epoch
  std::uint32_t epoch = 0;  // the best one
  bool has_files = false;
  Rare<std::vector<File>> files{};  // of the final/ tree
  bool operator==(const Outcome&) const = default;
};

// How a result is found again, by other jobs that ask for the same (cache.hpp).
struct ResultMark {
  std::uint64_t key = 0;        // 0: nobody takes it
  std::uint64_t tree = 0;       // of the final tree
  std::uint64_t seq = 0;        // of the event that has the result
  std::uint32_t made_secs = 0;  // Unix seconds of that event
  std::uint32_t source = 0;     // the job that was trained; 0: this one
  bool operator==(const ResultMark&) const = default;
};

// The states, in the order of Phase. A state that holds a lease names it; ended states say why.
struct Blocked {
  std::uint32_t open = 0;  // jobs that its needs look at and that have not ended, counted per need
  SmallText missing;       // why a need cannot be met while on_missing says wait
};
struct Ready {};
struct Leased {
  LeaseId lease;
};
struct Running {
  LeaseId lease;
};
struct Stopping {
  LeaseId lease;
  SmallText text;
};
struct Limiting {
  LeaseId lease;
  SmallText text;
};
struct Cancelling {
  LeaseId lease;
  SmallText cause;
};
struct Backoff {
  std::int64_t until_wall_ms = 0;
  std::int64_t delay_ms = 0;  // of the whole wait
  SmallText why;
};
struct Succeeded {
  Rare<Outcome> outcome;
  Rare<ResultMark> mark;
};
struct Failed {
  SmallText error_class, message;
};
struct Diverged {
  SmallText message;
};
struct Stopped {
  Rare<Outcome> outcome;
  SmallText text;
};
struct Cancelled {
  SmallText cause;
};
struct Skipped {
  SmallText why;
};
struct Paused {};
struct Pausing {
  LeaseId lease;
  SmallText text;
};
using JobState = std::variant<Blocked, Ready, Leased, Running, Stopping, Limiting, Cancelling, Backoff, Succeeded,
                              Failed, Diverged, Stopped, Cancelled, Skipped, Paused, Pausing>;

// The last late item of an older attempt that is in the log; repeats are acknowledged without another event.
struct LateMark {
  std::uint32_t generation = 0, attempt = 0;
  std::uint64_t sequence = 0;
};

// A resumable checkpoint that stays, for as long as the job is known: others may go on from it. One that is in several
// places is there once, and so is its hash.
struct SmallCheckpoint {
  std::uint64_t step = 0, size = 0;
  double objective = 0;
  SmallText path, sha256;
  std::uint32_t epoch = 0;
  bool best = false;

  [[nodiscard]] Checkpoint whole() const { return {epoch, step, {path.str(), sha256.str(), size}, objective, best}; }
};
using KeptCheckpoint = std::shared_ptr<const SmallCheckpoint>;

// Those of one job.
struct Checkpoints {
  KeptCheckpoint latest, best;
  KeptCheckpoint older;                 // the one before the newest
  std::vector<KeptCheckpoint> earlier;  // those before that one that stay too (keep.latest), newest first
};
// The newest, the older, the best and the earlier ones, as often as they are kept.
std::vector<KeptCheckpoint> all_of(const Checkpoints& kept);

// What attempts have said of a job, and where the newest one was.
struct Progress {
  std::int64_t started_ms = 0;  // of the newest attempt's Started, Unix ms
  std::uint32_t epoch = 0;      // of the newest report
  std::uint32_t best_epoch = 0;
  std::uint64_t step = 0;
  MaybeDouble objective;            // of the newest report
  MaybeDouble best;                 // of all reports
  SmallText device;                 // of the newest attempt
  std::vector<double> rung_values;  // at each rung crossed: the first report at or after it
  Rare<Checkpoints> checkpoints;
  Rare<std::vector<LateMark>> late;
};

struct Job {
  JobNumber number;
  SweepNumber sweep;
  sweeps::JobIndex index = 0;  // in the sweep's plan
  JobState state;
  std::vector<JobNumber> inputs;  // per need, once resolved
  LeaseId lease;                  // of the newest attempt, also after it ended
  std::uint64_t sequence = 0;     // the newest item of that attempt that was applied
  std::uint32_t generation = 1;
  std::uint32_t attempt = 0;          // the newest one that was leased; 0: none yet
  WorkerNumber worker;                // of that attempt
  std::uint32_t failures = 0;         // that count toward retry.max
  std::uint32_t losses = 0;           // leases lost since the last checkpoint: makes the wait longer
  std::uint32_t open_dependents = 0;  // jobs that may still take this one's files
  bool handing_back = false;          // asked to give its slot back, with a checkpoint; until its lease ends
  bool suspect = false;               // was in a trainer that crashed: runs alone next
  bool foreign = false;               // the newest attempt found another model or data than the sweep is bound to
  bool fresh = false;       // its result was to be taken from another job and could not be read: it is trained
  Rare<Progress> progress;  // of jobs that were given to a worker, or took another one's result
};
// Most of a large sweep: a member that few of them use belongs behind a Rare.
static_assert(sizeof(Job) <= 128 && sizeof(JobState) <= 32);

inline Phase phase_of(const Job& job) { return static_cast<Phase>(job.state.index() + 1); }

}  // namespace fathom::core
