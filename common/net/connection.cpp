#include "common/net/connection.hpp"

#include <array>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <mutex>

#include "common/net/stream.hpp"
#include "common/protocol/frame.hpp"
#include "common/protocol/wire.pb.h"

namespace fathom::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kReadSize = 64 * 1024;
constexpr std::chrono::seconds kFarewell{2};

class TlsConnection final : public Connection, public std::enable_shared_from_this<TlsConnection> {
 public:
  TlsConnection(std::unique_ptr<TlsStream> stream, const Limits& limits)
      : stream_(std::move(stream)),
        limits_(limits),
        timer_(stream_->get_executor()),
        peer_(endpoint_text(*stream_)),
        certificate_(peer_certificate(stream_->native_handle())) {}

  void start(Callbacks callbacks) override {
    post([self = shared_from_this(), callbacks = std::move(callbacks)]() mutable {
      self->callbacks_ = std::move(callbacks);
      self->heard_ = self->began_ = Clock::now();
      if (self->ended_) return self->report();
      self->read();
      self->watch();
    });
  }

  bool send(const wire::Envelope& envelope) override {
    const std::lock_guard lock(mutex_);
    if (closing_) return false;
    const bool room = pending_.size() + in_flight_ < limits_.queue_bytes;
    if (!room || !append_frame(envelope, pending_)) {
      closing_ = true;
      const char* text =
          room ? "a message is too large for a frame" : "the write queue is full: the peer does not read";
      post([self = shared_from_this(), text] { self->end({CloseReason::Kind::overflow, text}); });
      return false;
    }
    begin_write();
    return true;
  }

  void hold(bool held) override {
    post([self = shared_from_this(), held] {
      if (self->held_ == held || self->ended_) return;
      self->held_ = held;
      self->heard_ = Clock::now();
      if (!held && !self->reading_) self->drain_decoder();
    });
  }

  void close(const std::string& text) override {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    closing_ = true;
    farewell_ = text;
    const bool idle = !writing_;
    post([self = shared_from_this(), idle] {
      self->leave_by_ = Clock::now() + kFarewell;
      self->watch();
      if (idle) self->say_goodbye();
    });
  }

  void post(std::function<void()> work) override { asio::post(stream_->get_executor(), std::move(work)); }

  [[nodiscard]] std::size_t queued() const override {
    const std::lock_guard lock(mutex_);
    return pending_.size() + in_flight_;
  }

  [[nodiscard]] const std::string& peer() const override { return peer_; }
  [[nodiscard]] std::optional<PeerCertificate> certificate() const override { return certificate_; }

 private:
  // With mutex_ held: starts a write unless one is on its way, which will take the new bytes along.
  void begin_write() {
    if (writing_) return;
    writing_ = true;
    post([self = shared_from_this()] { self->write(); });
  }

  void write() {
    {
      const std::lock_guard lock(mutex_);
      sending_.clear();
      sending_.swap(pending_);
      in_flight_ = sending_.size();
    }
    if (ended_) return;
    write_began_ = Clock::now();
    asio::async_write(*stream_, asio::buffer(sending_), [self = shared_from_this()](error_code error, std::size_t) {
      self->write_began_ = {};
      if (error) return self->fail(error);
      self->wrote();
    });
  }

  void wrote() {
    bool more = false;
    bool leaving = false;
    {
      const std::lock_guard lock(mutex_);
      in_flight_ = 0;
      more = !pending_.empty();
      writing_ = more;
      leaving = closing_ && !more;
    }
    if (more) write();
    if (leaving) return say_goodbye();
    if (callbacks_.on_writable && !ended_ && queued() < kLowWater) callbacks_.on_writable();
  }

  void read() {
    // Not while TLS says goodbye: its shutdown reads too, and two reads of one socket at once are not allowed.
    if (held_ || ended_ || reading_ || leaving_) return;
    reading_ = true;
    stream_->async_read_some(asio::buffer(buffer_), [self = shared_from_this()](error_code error, std::size_t size) {
      self->reading_ = false;
      if (error) return self->fail(error);
      self->heard_ = Clock::now();
      self->decoder_.feed({self->buffer_.data(), size});
      self->drain_decoder();
    });
  }

  // Gives out every whole frame. A callback may hold or end the connection: what is left waits in the decoder.
  void drain_decoder() {
    while (!held_ && !ended_) {
      auto next = decoder_.next();
      if (!next) return end({CloseReason::Kind::protocol, next.error().message});
      if (!next->has_value()) break;
      spoke_ = true;
      if (callbacks_.on_envelope) callbacks_.on_envelope(**next);
    }
    read();
  }

  // One timer for silence, stuck writes and farewells. Coarse on purpose: it costs nothing per frame.
  void watch() {
    if (ended_) return;
    timer_.expires_after(period());
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (error || self->ended_) return;
      const auto now = Clock::now();
      const Limits& limits = self->limits_;
      if (self->leave_by_ != Clock::time_point{} && now > self->leave_by_) {
        return self->end({CloseReason::Kind::local, self->farewell_});
      }
      if (limits.idle.count() > 0 && !self->held_ && now - self->heard_ > limits.idle) {
        return self->end(
            {CloseReason::Kind::silent, "nothing was heard for " + std::to_string(limits.idle.count()) + " ms"});
      }
      if (limits.first.count() > 0 && !self->spoke_ && now - self->began_ > limits.first) {
        return self->end({CloseReason::Kind::silent, "no message came in time"});
      }
      if (limits.write.count() > 0 && self->write_began_ != Clock::time_point{} &&
          now - self->write_began_ > limits.write) {
        return self->end({CloseReason::Kind::overflow, "the peer does not read"});
      }
      self->watch();
    });
  }

  [[nodiscard]] Millis period() const {
    if (leave_by_ != Clock::time_point{}) return Millis{1000};
    // Of a thousand quiet workers each wakes somebody once in the silence that it is granted.
    Millis shortest{5000};
    if (limits_.idle.count() > 0 && !held_) {
      shortest = limits_.idle - std::chrono::duration_cast<Millis>(Clock::now() - heard_) + Millis{1};
    }
    if (limits_.first.count() > 0 && !spoke_) shortest = std::min(shortest, limits_.first / 4);
    if (limits_.write.count() > 0 && write_began_ != Clock::time_point{})
      shortest = std::min(shortest, limits_.write / 4);
    return std::max(shortest, Millis{10});
  }

  // Everything is written: TLS's own end, so that the peer can tell it from a cut line.
  void say_goodbye() {
    if (ended_ || leaving_) return;
    leaving_ = true;
    stream_->async_shutdown([self = shared_from_this()](error_code) {
      self->end({CloseReason::Kind::local, self->farewell_});
    });
  }

  void fail(error_code error) {
    const bool closed = error == asio::error::eof || error == asio::ssl::error::stream_truncated ||
                        error == asio::error::connection_reset || error == asio::error::broken_pipe;
    // Who has gone answers no goodbye, and its end of the stream is told to one reader only: not to the shutdown.
    if (leaving_ && closed) return end({CloseReason::Kind::local, farewell_});
    if (leaving_) return;  // the shutdown's own handler, or the timer, tells the end
    end({closed ? CloseReason::Kind::peer : CloseReason::Kind::io, error.message(), error == asio::error::eof});
  }

  void end(CloseReason reason) {
    if (ended_) return;
    ended_ = true;
    reason_ = std::move(reason);
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
      pending_ = {};
    }
    timer_.cancel();
    error_code ignored;
    boost::beast::get_lowest_layer(*stream_).socket().close(ignored);
    report();
  }

  // Tells the owner once, also when the end came before start().
  void report() {
    auto callbacks = std::exchange(callbacks_, {});
    if (callbacks.on_close) callbacks.on_close(reason_);
  }

  const std::unique_ptr<TlsStream> stream_;
  const Limits limits_;
  asio::steady_timer timer_;
  const std::string peer_;
  const std::optional<PeerCertificate> certificate_;

  // On the strand only.
  Callbacks callbacks_;
  CloseReason reason_;
  FrameDecoder decoder_;
  std::array<char, kReadSize> buffer_{};
  std::string sending_;  // being written
  Clock::time_point began_{};
  Clock::time_point heard_{};
  Clock::time_point write_began_{};
  Clock::time_point leave_by_{};
  bool spoke_ = false;  // a whole frame has come
  bool reading_ = false;
  bool held_ = false;
  bool leaving_ = false;
  bool ended_ = false;

  mutable std::mutex mutex_;
  std::string pending_;        // encoded frames that wait
  std::size_t in_flight_ = 0;  // bytes of sending_
  bool writing_ = false;
  bool closing_ = false;  // nothing more is accepted
  std::string farewell_;
};

}  // namespace

std::shared_ptr<Connection> adopt(std::unique_ptr<TlsStream> stream, const Connection::Limits& limits) {
  return std::make_shared<TlsConnection>(std::move(stream), limits);
}

}  // namespace fathom::net
