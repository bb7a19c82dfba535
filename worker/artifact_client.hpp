// Artifacts to and from the coordinator's store, in chunks of at most 1 MiB. put() and get() block their own thread
// through lost connections, each time going on where the coordinator says, until done or cancelled.
//
// Thread: put() from one thread and get() from one thread at a time; everything else from any thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "common/clock.hpp"
#include "common/result.hpp"

namespace fathom::wire {
class Envelope;
}

namespace fathom::worker {

class ArtifactClient {
 public:
  // Sends one frame; waits while the connection's queue is full. False: the connection is gone.
  using Send = std::function<bool(const wire::Envelope&)>;
  // True: nobody wants the transfer any more. Asked a few times a second.
  using Cancelled = std::function<bool()>;

  // The coordinator has welcomed us: transfers begin or go on.
  void opened(Send send);
  void lost();
  // Ends every transfer with an error; for the end of the program.
  void stop();
  // An ArtifactHave or ArtifactChunk that came in.
  void deliver(std::shared_ptr<const wire::Envelope> envelope);

  // Success: the coordinator has committed the file. Retries what may pass (no contact, coordinator's disk full) for
  // ever. Errors: unavailable when cancelled or stopped; those of reading the file.
  [[nodiscard]] Status put(const std::filesystem::path& file, const std::string& sha256, std::uint64_t size,
                           const Cancelled& cancelled);
  // Success: `destination` holds the artifact, hash checked. Errors: unavailable when cancelled; not_found when the
  // coordinator does not have it; corrupt when what comes is something else, three times; those of writing the file.
  [[nodiscard]] Status get(const std::string& sha256, const std::filesystem::path& destination,
                           const Cancelled& cancelled);

 private:
  using Message = std::shared_ptr<const wire::Envelope>;
  enum class Outcome { done, again, pause };

  // Waits for a connection; its number, or nothing when cancelled.
  [[nodiscard]] std::optional<std::uint64_t> wait_connected(const Cancelled& cancelled);
  // The next answer for `sha256` on connection `number`; null: the connection or the wish is gone, or none came in
  // time.
  [[nodiscard]] Message wait_answer(const std::string& key, std::uint64_t number, const Cancelled& cancelled);
  [[nodiscard]] bool send(std::uint64_t number, const wire::Envelope& envelope);
  void pause(Millis time, const Cancelled& cancelled);
  void listen(const std::string& key, bool on);

  [[nodiscard]] Result<Outcome> put_once(int file, const std::string& sha256, std::uint64_t size,
                                         const Cancelled& cancelled);
  [[nodiscard]] Result<bool> send_chunks(int file, const std::string& sha256, std::uint64_t offset, std::uint64_t size,
                                         std::uint64_t number, const Cancelled& cancelled);
  [[nodiscard]] Status get_once(const std::string& sha256, int file, const Cancelled& cancelled);

  std::mutex mutex_;
  std::condition_variable changed_;
  Send send_;
  std::uint64_t number_ = 0;  // of the connection
  bool connected_ = false;
  bool stopped_ = false;
  std::map<std::string, std::deque<Message>> inbox_;  // by "have HASH" and "chunk HASH", only what is waited for
};

}  // namespace fathom::worker
