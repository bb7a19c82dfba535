// Frames over TLS, both ways: what a worker session of the coordinator and a worker's link are made of.
//
// Thread: send(), close(), hold(), post() and queued() from any thread; callbacks run one at a time on the connection's
// strand, never inside a call of send(). Owner: shared; the connection keeps itself alive until it is closed, and drops
// its callbacks then. Errors: every failure ends the connection, once, with a CloseReason; bytes that are no frame are
// a `protocol` failure. Bounds: a frame is at most 4 MiB, the write queue at most Limits::queue_bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/clock.hpp"
#include "common/net/client_identity.hpp"
#include "common/net/tls.hpp"
#include "common/result.hpp"

namespace boost::asio {
class io_context;
}
namespace fathom::wire {
class Envelope;
}

namespace fathom::net {

class TlsStream;  // common/net/stream.hpp

struct CloseReason {
  enum class Kind {
    local,     // close() was called
    peer,      // the peer ended the connection
    protocol,  // what came is no frame of ours
    overflow,  // the peer does not read: the write queue is full or a write took too long
    silent,    // nothing came for Limits::idle
    io,        // the network failed
  };
  Kind kind = Kind::local;
  std::string text;    // for people and logs
  bool clean = false;  // peer: it said so by TLS's own end, the line was not cut
};

class Connection {
 public:
  struct Limits {
    std::size_t queue_bytes = std::size_t{64} << 20;  // encoded frames that wait to be written
    Millis idle{0};                                   // silence that ends the connection; 0: no limit
    Millis first{0};                                  // for the first whole frame, however it trickles in; 0: no limit
    Millis write{30'000};                             // one write without progress; 0: no limit
  };
  struct Callbacks {
    std::function<void(wire::Envelope&)> on_envelope;  // may be moved from
    std::function<void(const CloseReason&)> on_close;  // exactly once, nothing follows it
    std::function<void()> on_writable;                 // after a write, when less than kLowWater bytes wait
  };
  // Bytes that may wait before a sender of chunks should pause until on_writable.
  static constexpr std::size_t kLowWater = std::size_t{2} << 20;

  virtual ~Connection() = default;

  // Begins reading. Called once; frames sent earlier are kept and go out.
  virtual void start(Callbacks callbacks) = 0;
  // Queues one frame, in order. False: it was dropped, because the connection is closed or this frame overflowed it
  // (which closes it).
  virtual bool send(const wire::Envelope& envelope) = 0;
  // Stops reading, so that the peer is slowed down by TCP, or goes on. While held, silence does not count.
  virtual void hold(bool held) = 0;
  // Closes after what is queued has been written, within two seconds. The text becomes the reason.
  virtual void close(const std::string& text) = 0;
  // Runs `work` on the strand.
  virtual void post(std::function<void()> work) = 0;
  [[nodiscard]] virtual std::size_t queued() const = 0;
  // HOST:PORT of the other side.
  [[nodiscard]] virtual const std::string& peer() const = 0;
  // The certificate that the other side showed and its TLS has believed; nullopt: none.
  [[nodiscard]] virtual std::optional<PeerCertificate> certificate() const { return std::nullopt; }
};

// Takes over a stream whose handshake is done; its executor must be a strand.
std::shared_ptr<Connection> adopt(std::unique_ptr<TlsStream> stream, const Connection::Limits& limits);

struct ConnectOptions {
  std::string host;
  std::uint16_t port = 0;
  TlsContext tls;           // client_context(trust, kAlpnWorker)
  std::string expect_host;  // the name the certificate must have; empty for a pinned CA
  Millis timeout{10'000};   // for name, TCP and TLS together
  Connection::Limits limits;
};
// Connects and calls `done` once on a thread of `io`. unavailable: no answer there; unauthenticated: an answer from
// somebody that `tls` does not believe.
void connect(boost::asio::io_context& io, ConnectOptions options,
             std::function<void(Result<std::shared_ptr<Connection>>)> done);

}  // namespace fathom::net
