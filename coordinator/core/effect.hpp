// What the outside has to do after a step, once everything appended up to that step is durable and in the order given.
// An effect that cannot be carried out (the worker is gone) is dropped: joining, heartbeats and expiry repair it.
// Thread: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/core/types.hpp"
#include "sweeps/plan.hpp"

namespace fathom::core {

// Everything wire::Assign needs.
struct SendAssign {
  WorkerNumber worker;
  Fence fence;
  std::string job_id;  // 16 hex digits
  std::string device;
  std::string settings;                            // JSON
  std::string inputs;                              // JSON, docs/protocol.md "inputs"
  std::vector<File> fetch;                         // path: below inputs/
  std::optional<Checkpoint> resume, resume_older;  // the second where the first is lost or damaged
  std::vector<Checkpoint> resume_earlier;          // where that one is too
  bool alone = false;
};
struct SendStop {
  WorkerNumber worker;
  Fence fence;
  std::string cause;  // search | cancel | lost
};
// Every item of the fence up to `sequence` is durable. late: the attempt is fenced, the worker forgets it.
struct SendAck {
  WorkerNumber worker;
  Fence fence;
  std::uint64_t sequence = 0;
  bool late = false;
};
// No job keeps this artifact any more.
struct ReleaseArtifact {
  std::string sha256;
};

// Results to be read from the log, each from the event that ended its source. Answered by one ResultsRead in any case.
struct ReadResults {
  struct Wanted {
    JobNumber job, source;
    std::uint64_t seq = 0;
  };
  std::vector<Wanted> wanted;
};

// To a webhook of the sweep file. Answered by a SettleNotice, however long that takes.
struct SendNotice {
  std::uint64_t notice = 0;
  sweeps::Hook hook;
  std::string body;  // JSON, docs/notifications.md
};

using Effect = std::variant<SendAssign, SendStop, SendAck, ReleaseArtifact, ReadResults, SendNotice>;

}  // namespace fathom::core
