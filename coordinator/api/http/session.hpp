// One HTTP/1.1 connection: requests one after another, each with limits and deadlines; answers whole, in pieces or as
// an endless stream.
//
// Thread: a session runs on its stream's strand and keeps itself alive until the connection ends. Failures: what is no
// HTTP gets 400 and the connection is closed; too large 413 or 431; too slow is closed. An exception of a handler is a
// 500, logged. Bounds: Limits, and the number of sessions (the caller's gauge).
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>

#include "common/clock.hpp"
#include "coordinator/api/http/message.hpp"

namespace fathom::net {
class TlsStream;
}

namespace fathom::api {

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // Looks at a request before its body is read: an answer here (401, 404, …) ends it. May fill in what it learned.
  virtual std::optional<Answer> refuse(Request& head) = 0;
  // `respond` is called exactly once, now or later. May block for as long as a query takes.
  virtual void handle(Request request, Respond respond) = 0;
};

struct HttpLimits {
  std::uint32_t header_bytes = 16 * 1024;
  std::size_t body_bytes = 4U << 20;
  Millis header_time{10'000};  // for a request's head, once its first byte can be expected
  Millis body_time{30'000};
  Millis keep_alive{60'000};      // between requests
  Millis write_time{30'000};      // one write without progress
  Millis live_heartbeat{15'000};  // a comment in an event stream after so much silence
  std::size_t sessions = 1024;
};

// `open` counts sessions; above limits.sessions the stream is dropped. Both outlive the session.
void serve_http(std::unique_ptr<net::TlsStream> stream, std::shared_ptr<HttpHandler> handler, const HttpLimits& limits,
                std::shared_ptr<std::atomic<std::size_t>> open);

}  // namespace fathom::api
