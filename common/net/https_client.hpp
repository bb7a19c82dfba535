// A small blocking HTTPS client for the command line, tests and tools: one server, one connection that is kept and
// opened again when it was closed. Thread: one call at a time, except cancel(), which any thread may call. Errors:
// unavailable (not reachable, timed out), unauthenticated (not the server that is trusted), resource_exhausted (a body
// over the limit). An answer with an error status is a Response, not an Error.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/clock.hpp"
#include "common/net/sse.hpp"
#include "common/net/tls.hpp"
#include "common/result.hpp"

namespace fathom::net {

using Headers = std::map<std::string, std::string>;  // answers: names in lower case

struct Response {
  int status = 0;
  Headers headers;
  std::string body;
};

struct HttpsOptions {
  std::string host;
  std::uint16_t port = 0;
  TlsContext tls;                       // client_context(trust, kAlpnHttp)
  std::string expect_host;              // the name the certificate must have; empty for a pinned CA
  std::string bearer;                   // sent as "Authorization: Bearer …" unless empty
  Millis timeout{30'000};               // for each step: connecting, sending, each part of an answer
  std::size_t body_limit = 256U << 20;  // bytes of an answer held in memory
};

class HttpsClient {
 public:
  explicit HttpsClient(HttpsOptions options);
  ~HttpsClient();
  HttpsClient(const HttpsClient&) = delete;
  HttpsClient& operator=(const HttpsClient&) = delete;

  // `path` with its query. A request on a kept connection that turns out closed is sent again when that cannot do
  // harm: GET, and writes with an Idempotency-Key.
  Result<Response> request(const std::string& method, const std::string& path, const Headers& headers = {},
                           const std::string& body = "");

  // GET whose bytes go to `take` as they come; false ends it (that is no error). An answer other than 200 comes back
  // with its body and `take` is not called. `idle`: longest silence, 0 = for ever.
  Result<Response> stream(const std::string& path, const Headers& headers,
                          const std::function<bool(std::string_view)>& take, Millis idle);

  // The events of a server-sent event stream until `take` gives false, the server ends it or cancel().
  Result<Response> events(const std::string& path, const std::string& last_event_id,
                          const std::function<bool(const SseEvent&)>& take, Millis idle = Millis{60'000});

  // GET into a file, written beside `file` and renamed when it is whole; nothing is left of a part.
  Result<Response> download(const std::string& path, const std::string& file);

  // Ends the call that runs now, and every later one, with unavailable "cancelled".
  void cancel();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fathom::net
