// One job in the coordinator's memory: its state with the data that is valid in it, and what the attempts left behind.
// Thread: plain values, owned by State.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "coordinator/core/transitions.hpp"
#include "coordinator/core/types.hpp"
#include "sweeps/plan.hpp"

namespace fathom::core {

// The model a job leaves behind: what a need can take. Files are kept only while a dependent may still ask for them.
struct Outcome {
  std::optional<double> objective{};  // of the best epoch
  std::uint32_t epoch = 0;            // the best one
  bool has_files = false;
  std::vector<File> files{};  // of the final/ tree
};

// How a result is found again, by other jobs that ask for the same (cache.hpp).
struct ResultMark {
  std::uint64_t key = 0;        // 0: nobody takes it
  std::uint64_t tree = 0;       // of the final tree
  std::uint64_t seq = 0;        // of the event that has the result
  std::uint32_t made_secs = 0;  // Unix seconds of that event
  std::uint32_t source = 0;     // the job that was trained; 0: this one
};

// The states, in the order of Phase. A state that holds a lease names it; ended states say why.
struct Blocked {
  std::uint32_t open = 0;  // jobs that its needs look at and that have not ended, counted per need
  std::string missing;     // why a need cannot be met while on_missing says wait
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
  std::string text;
};
struct Limiting {
  LeaseId lease;
  std::string text;
};
struct Cancelling {
  LeaseId lease;
  std::string cause;
};
struct Backoff {
  std::int64_t until_wall_ms = 0;
  std::int64_t delay_ms = 0;  // of the whole wait
  std::string why;
};
struct Succeeded {
  Outcome outcome;
  ResultMark mark;
};
struct Failed {
  std::string error_class, message;
};
struct Diverged {
  std::string message;
};
struct Stopped {
  Outcome outcome;
  std::string text;
};
struct Cancelled {
  std::string cause;
};
struct Skipped {
  std::string why;
};
struct Paused {};
struct Pausing {
  LeaseId lease;
  std::string text;
};
using JobState = std::variant<Blocked, Ready, Leased, Running, Stopping, Limiting, Cancelling, Backoff, Succeeded,
                              Failed, Diverged, Stopped, Cancelled, Skipped, Paused, Pausing>;

// The last late item of an older attempt that is in the log; repeats are acknowledged without another event.
struct LateMark {
  std::uint32_t generation = 0, attempt = 0;
  std::uint64_t sequence = 0;
};

struct Job {
  JobNumber number;
  SweepNumber sweep;
  sweeps::JobIndex index = 0;  // in the sweep's plan
  JobState state;
  std::uint32_t generation = 1;
  std::uint32_t attempt = 0;      // the newest one that was leased; 0: none yet
  LeaseId lease;                  // of that attempt, also after it ended
  std::uint64_t sequence = 0;     // the newest item of that attempt that was applied
  std::uint32_t failures = 0;     // that count toward retry.max
  std::uint32_t losses = 0;       // leases lost since the last checkpoint: makes the wait longer
  bool handing_back = false;      // asked to give its slot back, with a checkpoint; until its lease ends
  bool suspect = false;           // was in a trainer that crashed: runs alone next
  bool foreign = false;           // the newest attempt found another model or data than the sweep is bound to
  bool fresh = false;             // its result was to be taken from another job and could not be read: it is trained
  std::vector<JobNumber> inputs;  // per need, once resolved
  std::uint32_t open_dependents = 0;  // jobs that may still take this one's files
  std::uint32_t epoch = 0;            // of the newest report
  std::uint64_t step = 0;
  std::optional<double> objective;  // of the newest report
  std::optional<double> best;       // of all reports
  std::uint32_t best_epoch = 0;
  std::vector<double> rung_values;  // at each rung crossed: the first report at or after it
  std::optional<Checkpoint> latest_checkpoint, best_checkpoint;
  std::optional<Checkpoint> older_checkpoint;   // the one before the newest
  std::vector<Checkpoint> earlier_checkpoints;  // those before that one that stay too (keep.latest), newest first
  std::vector<LateMark> late;
  std::int64_t started_ms = 0;  // of the newest attempt's Started, Unix ms
  WorkerNumber worker;          // of the newest attempt
  std::string device;
};

inline Phase phase_of(const Job& job) { return static_cast<Phase>(job.state.index() + 1); }

}  // namespace fathom::core
