#include "common/protocol/channel.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "common/protocol/wire.pb.h"

namespace fathom {
namespace {

using Steady = std::chrono::steady_clock;

Error peer_gone() { return Error{Errc::unavailable, "the other process closed the connection"}; }

Error from_errno(const char* what) {
  if (errno == EPIPE || errno == ECONNRESET) return peer_gone();
  return Error{Errc::unavailable, fmt::format("{}: {}", what, std::strerror(errno))};
}

// True when `events` happened on the descriptor before `deadline`.
Result<bool> wait_for(int fd, short events, Steady::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::duration_cast<Millis>(deadline - Steady::now()).count();
    pollfd entry{fd, events, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(std::clamp<long long>(left, 0, 1 << 30)));
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return from_errno("waiting on a socket failed");
  }
}

}  // namespace

FrameChannel::FrameChannel(int fd) : fd_(fd) {}

FrameChannel::~FrameChannel() {
  if (fd_ >= 0) ::close(fd_);
}

Status FrameChannel::send(const wire::Envelope& envelope, Millis timeout) {
  FATHOM_ASSIGN(const std::string frame, encode_frame(envelope));
  return write(frame, timeout);
}

Status FrameChannel::send(const std::vector<wire::Envelope>& envelopes, Millis timeout) {
  std::string frames;
  for (const wire::Envelope& envelope : envelopes) FATHOM_TRY(append_frame(envelope, frames));
  return write(frames, timeout);
}

Status FrameChannel::write(std::string_view frames, Millis timeout) {
  const std::lock_guard lock(write_mutex_);
  const auto deadline = Steady::now() + timeout;
  std::size_t sent = 0;
  while (sent < frames.size()) {
    const ssize_t count = ::send(fd_, frames.data() + sent, frames.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      sent += static_cast<std::size_t>(count);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return from_errno("writing to the other process failed");
    FATHOM_ASSIGN(const bool writable, wait_for(fd_, POLLOUT, deadline));
    if (!writable) {
      // Half a frame may be on its way: the stream has no meaning any more.
      shutdown();
      return Error{Errc::unavailable, fmt::format("the other process did not read for {} ms", timeout.count())};
    }
  }
  return success();
}

Result<bool> FrameChannel::read_some(Millis timeout) {
  FATHOM_ASSIGN(const bool readable, wait_for(fd_, POLLIN, Steady::now() + timeout));
  if (!readable) return false;
  std::array<char, 64 * 1024> bytes;
  const ssize_t count = ::recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (count > 0) {
    decoder_.feed(std::string_view(bytes.data(), static_cast<std::size_t>(count)));
    return true;
  }
  if (count == 0) return peer_gone();
  if (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK) return true;
  return from_errno("reading from the other process failed");
}

Result<std::optional<wire::Envelope>> FrameChannel::receive(Millis timeout) {
  const auto deadline = Steady::now() + timeout;
  for (;;) {
    auto envelope = decoder_.next();
    if (!envelope || envelope->has_value()) return envelope;
    const auto left = std::chrono::duration_cast<Millis>(deadline - Steady::now());
    FATHOM_ASSIGN(const bool read, read_some(std::max(left, Millis(0))));
    if (!read) return std::optional<wire::Envelope>();
  }
}

void FrameChannel::shutdown() { ::shutdown(fd_, SHUT_RDWR); }

Result<SocketPair> make_socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return from_errno("no socketpair could be made");
  return SocketPair{ends[0], ends[1]};
}

}  // namespace fathom
