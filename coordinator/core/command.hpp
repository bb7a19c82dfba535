// What can be asked of the core. The strand that owns the core makes these from REST calls, frames and timers.
// Thread: plain values.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/core/types.hpp"

namespace fathom::sweeps {
struct Plan;
}

namespace fathom::core {

// First command after replay(), once: opens a new epoch and gives every lease one full new term.
struct Start {
  std::string version;  // of the program
};

// Answer: Submitted. With a key that was seen before: the same answer again (already_exists if the sweep differs).
struct SubmitSweep {
  std::string resolved;  // canonical JSON of sweeps::Sweep::resolved
  std::string yaml;      // as submitted
  std::string name;      // empty: the resolved sweep's
  std::string file;      // for people
  std::string idempotency_key;
  std::uint32_t expander_version = 0;        // sweeps::kExpanderVersion
  std::shared_ptr<const sweeps::Plan> plan;  // expand(resolved), where the caller has it; else the core expands
};

// A sweep that has ended: success without an event. One that finishes can still be cancelled whole.
struct CancelSweep {
  SweepNumber sweep;
  std::string cause = "cancelled by a person";
  bool finish = false;  // what holds a lease goes on to its end; what waits, or comes back to wait, is cancelled
};
// How a sweep runs; what is absent stays, what runs goes on. Of one that has ended: how it will, should it be retried.
// Nothing that differs: success without an event.
struct ChangeSweep {
  SweepNumber sweep;
  std::optional<bool> paused{};                // nothing of it is started
  bool now = false;                            // paused: and what runs hands its slots back, with a checkpoint
  std::optional<std::uint32_t> weight{};       // 1 … 1000
  std::optional<std::uint32_t> priority{};     // 0 … 100
  std::optional<std::uint32_t> concurrency{};  // of the limits; 0: none, for each of them
  std::optional<std::int64_t> wall_seconds{}, job_wall_seconds{};
  std::optional<std::uint32_t> failed{};
};
// A new generation of every job that Failed, or that was cancelled by a limit of the sweep itself, and of what was
// skipped for their sake. Never of a job that has a result. Answer: Reopened; with a key seen before the same again.
struct RetrySweep {
  SweepNumber sweep;
  std::string idempotency_key{};
};
// …of one job that Failed, Diverged or was cancelled, and of what was skipped for its sake. Answer: Reopened.
struct RerunJob {
  JobNumber job;
  std::string idempotency_key{};
};
// A result that is taken whatever its age (`cache.ttl`). Only of a job that Succeeded; one that took its result from
// another pins that one's. Nothing that differs: success without an event.
struct PinResult {
  JobNumber job;
  bool pinned = true;
};
// A message to a webhook was taken, or is given up. One that is not open: success without an event.
struct SettleNotice {
  std::uint64_t notice = 0;
  bool delivered = false;
  std::string why{};
};
struct CancelJob {
  JobNumber job;
  std::string cause = "cancelled by a person";
};

// Answer: Joined. A worker that is known by its uid keeps its number.
struct WorkerHello {
  std::string uid;
  std::string name;
  std::vector<Device> devices;
  std::vector<Held> held;
  bool restarted = false;  // the first one of its process
  std::string unfit{};     // as in Heartbeat
};
// The newest connection of the worker ended (never sent for one that another replaced). `drained`: it said that it
// holds nothing any more, so its leases end at once; else they go on until they expire.
struct WorkerGone {
  WorkerNumber worker;
  bool drained = false;
};
// Renews the leases of what is held; what is not the worker's own is answered by a SendStop "lost". `unfit`: why the
// worker can take no jobs for now; empty: it can. Makes an event only when that changes.
struct Heartbeat {
  WorkerNumber worker;
  std::vector<Held> held;
  std::string unfit{};
};

// What one attempt reports, as in the wire's Item. Texts are of the trainer's making: shown, never acted on, but for
// the error class.
// The order is that of the wire: Started, then Reports and Checkpoints, then one of the last three.
namespace item {
struct Started {
  std::string device, base_sha256, data_sha256;
  std::uint32_t resumed_epoch = 0;
};
struct Report {
  std::uint32_t epoch = 0;
  std::uint64_t step = 0;
  double objective = 0;
};
struct Finished {
  std::string result;
  std::vector<File> files;
};
struct Failed {
  std::string error_class, message;
  std::uint64_t step = 0;
  bool alone = false;
  bool watchdog = false;  // the worker ended a trainer without progress; told for one of its jobs
};
struct Stopped {
  std::uint32_t epoch = 0;
  std::uint64_t step = 0;
  std::string result;
  std::vector<File> files;
};
}  // namespace item
// Checkpoint (types.hpp) is an item too.
using Item = std::variant<item::Started, item::Report, Checkpoint, item::Finished, item::Failed, item::Stopped>;

// Always answered by a SendAck (an effect). The files that a Checkpoint, Finished or Stopped names are committed in the
// artifact store before the command is given.
struct ItemReceived {
  WorkerNumber worker;
  Fence fence;
  std::uint64_t sequence = 0;  // from 1 in each attempt, no gap
  Item what;
};

// The answer to a ReadResults (effect.hpp), one for each that was wanted.
struct ResultRead {
  JobNumber job, source;
  std::string problem{};  // why it cannot be read; empty: the rest is what the source's end says
  std::string result{};
  std::vector<File> files{};
  std::optional<double> objective{};
  std::uint32_t epoch = 0;
  std::uint32_t source_generation = 0;
  std::int64_t made_ms = 0;
};
struct ResultsRead {
  std::vector<ResultRead> results;
};

// Time passed: leases that expired, waits that are over, limits. Give it at Core::next_deadline() at the latest; more
// often does no harm.
struct Tick {};

using Command =
    std::variant<Start, SubmitSweep, CancelSweep, ChangeSweep, RetrySweep, RerunJob, PinResult, SettleNotice, CancelJob,
                 WorkerHello, WorkerGone, Heartbeat, ItemReceived, ResultsRead, Tick>;

// Answers, to be given when the step is durable.
struct Submitted {
  SweepNumber sweep;
  std::string id;
  std::uint32_t jobs = 0;
  bool repeated = false;
};
struct Reopened {
  std::uint32_t jobs = 0;
  bool repeated = false;
};
struct Joined {
  WorkerNumber worker;
  std::vector<Fence> abandon;
};
struct Started {
  std::uint64_t epoch = 0;
};
using Answer = std::variant<std::monostate, Submitted, Reopened, Joined, Started>;

}  // namespace fathom::core
