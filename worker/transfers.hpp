// Everything that moves files for attempts: their folders, inputs from the coordinator, checkpoints and final trees to
// it. Uploads are done one after another in the order they were asked for, downloads too.
//
// Thread: the worker's loop, except deliver(), which is called from any. Callbacks run on the loop. Owner: the agent.
// Between lost() and opened() transfers wait; they end when they are done or nobody wants them any more.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>

#include "common/ids.hpp"
#include "common/result.hpp"

namespace fathom::wire {
class Assign;
class Envelope;
class Item;
}  // namespace fathom::wire

namespace fathom::worker {

class Transfers {
 public:
  // Set to true when nobody wants the transfer any more.
  using Flag = std::shared_ptr<std::atomic<bool>>;
  using Laid = std::function<void(const wire::Assign&, const Status&)>;
  using Uploaded = std::function<void(wire::Item&, const Status&)>;
  virtual ~Transfers() = default;

  // The coordinator has welcomed us; `send` queues one frame and may wait: false when the connection is gone.
  virtual void opened(std::function<bool(const wire::Envelope&)> send) = 0;
  virtual void lost() = 0;
  // An ArtifactHave or ArtifactChunk that came in.
  virtual void deliver(std::shared_ptr<const wire::Envelope> envelope) = 0;
  // Ends everything; no callback runs any more once the loop has stopped.
  virtual void stop() = 0;

  // A folder for the attempt alone, without files.
  [[nodiscard]] virtual Result<std::filesystem::path> make_folder(const Fence& fence) = 0;
  // Lays what the assignment fetches below inputs/ and its checkpoint at resume.ckpt. A checkpoint that cannot be had
  // is taken out of the assignment that comes back: the job then starts from the beginning.
  virtual void lay(const wire::Assign& assign, const std::filesystem::path& folder, Flag cancelled, Laid done) = 0;
  // Uploads what the item is about and names it in the item: a Checkpoint's file, the final tree of a Finished or
  // Stopped. Any other item only waits for its turn.
  virtual void upload(const wire::Item& item, const std::filesystem::path& folder, Flag cancelled, Uploaded done) = 0;
  // Behind everything that is being uploaded.
  virtual void after_uploads(std::function<void()> done) = 0;
  // The attempt has ended: what its folder holds is removed, in its turn.
  virtual void remove_folder(const std::filesystem::path& folder) = 0;
  // The disk is full: what is only kept for later goes.
  virtual void shrink() = 0;
};

}  // namespace fathom::worker
