// The worker's line to its coordinator, as the agent sees it: Link over TLS, or the simulation's.
//
// Thread: every method from any thread; callbacks run on the line's own thread, those of one connection in order. Each
// connection has a number, so that the agent can tell late news of an old one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/clock.hpp"
#include "common/net/tls.hpp"

namespace fathom::wire {
class Envelope;
}

namespace fathom::worker {

class Uplink {
 public:
  struct Callbacks {
    std::function<void(std::uint64_t connection)> on_open;
    std::function<void(std::uint64_t connection, std::shared_ptr<wire::Envelope>)> on_envelope;
    std::function<void(std::uint64_t connection, const std::string& why)> on_close;
  };
  virtual ~Uplink() = default;

  // Begins to connect, and goes on for ever.
  virtual void start() = 0;
  // Queues one frame on the present connection. False: there is none, the frame is dropped.
  virtual bool send(const wire::Envelope& envelope) = 0;
  // The same for file chunks on a thread that may block: waits while much is queued.
  virtual bool send_bulk(const wire::Envelope& envelope) = 0;
  // The coordinator has accepted us (Pauses::settled).
  virtual void settled(Millis lease) = 0;
  // The next connections show another certificate; a line without TLS takes no notice.
  virtual void use(const net::TlsContext&) {}
  // Ends the present connection, if it is still this one; a new one follows.
  virtual void drop(std::uint64_t connection, const std::string& why) = 0;
};

}  // namespace fathom::worker
