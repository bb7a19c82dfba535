// A blocking channel of frames over one file descriptor: worker and trainer talk through a socketpair with it.
//
// Thread: send() from any thread (frames never interleave), receive() from one thread at a time, shutdown() from any
// thread: it wakes both. Owner: the channel owns and closes the descriptor. Errors: Errc::unavailable when the peer is
// gone, Errc::corrupt / unsupported for bad frames; afterwards the channel is of no use. Never raises SIGPIPE.
#pragma once

#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/protocol/frame.hpp"
#include "common/result.hpp"

namespace fathom {

class FrameChannel {
 public:
  // `fd` is a connected stream socket. The channel takes it over.
  explicit FrameChannel(int fd);
  ~FrameChannel();
  FrameChannel(const FrameChannel&) = delete;
  FrameChannel& operator=(const FrameChannel&) = delete;

  // Writes one whole frame; waits at most `timeout` for a peer that does not read, then breaks the channel.
  [[nodiscard]] Status send(const wire::Envelope& envelope, Millis timeout = std::chrono::seconds(30));
  // The same of several, written together.
  [[nodiscard]] Status send(const std::vector<wire::Envelope>& envelopes, Millis timeout);
  // The next Envelope; nullopt when none was complete within `timeout` (zero: only what has come already).
  [[nodiscard]] Result<std::optional<wire::Envelope>> receive(Millis timeout);
  // Ends both directions; the peer sees the end of the stream. The descriptor stays open until destruction.
  void shutdown();

  [[nodiscard]] int fd() const { return fd_; }

 private:
  [[nodiscard]] Status write(std::string_view frames, Millis timeout);
  [[nodiscard]] Result<bool> read_some(Millis timeout);

  const int fd_;
  std::mutex write_mutex_;
  FrameDecoder decoder_;
};

// Both ends of a new socketpair, closed on exec. `theirs` is for a child process: clear its close-on-exec flag there.
struct SocketPair {
  int ours = -1;
  int theirs = -1;
};
[[nodiscard]] Result<SocketPair> make_socket_pair();

}  // namespace fathom
