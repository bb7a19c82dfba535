// One attempt as the worker holds it, from its Assign (or its spool) to the last acknowledgement.
// Thread: the worker's loop; `cancelled` is also read by transfer threads.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>

#include "common/ids.hpp"
#include "worker/outbox.hpp"

namespace fathom::worker {

// The fence without its lease: acknowledgements name attempts so.
[[nodiscard]] inline Fence attempt_key(Fence fence) {
  fence.lease = LeaseId();
  return fence;
}

struct Attempt {
  enum class Phase {
    preparing,  // inputs are being laid
    training,   // given to the trainer
    closing,    // the trainer is done with it; files are being uploaded
    ended,      // nothing new will come; unacknowledged messages may be left
  };

  // Stopped for the worker's own reasons.
  enum class Leaving {
    no,
    lost,   // contact was lost for too long: its Stopped or Failed is not told, another attempt has its place
    drain,  // the worker shuts down: handed back with a Stopped that says nothing
  };

  Attempt(const Fence& which, OutboxLimits limits) : fence(which), outbox(which, limits) {}

  Fence fence;
  std::string job_id;  // for logs
  std::string device;
  std::filesystem::path folder;  // empty: of an earlier worker, only the spool is left
  Phase phase = Phase::preparing;
  Outbox outbox;
  std::string log_lines;           // gathered since the last round of the loop
  std::uint64_t dropped_told = 0;  // of what the outbox dropped, how much the log has been told
  bool abandoned = false;          // fenced: nothing of it is told any more; kept until its trainer lets go
  Leaving leaving = Leaving::no;
  bool stop_asked = false;  // by the coordinator
  bool disk_failed = false;
  std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);  // of its transfers
};

}  // namespace fathom::worker
