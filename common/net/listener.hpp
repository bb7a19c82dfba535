// Accepts TCP connections, does the TLS handshake and hands the stream on with the protocol that ALPN agreed on.
//
// Thread: open() and stop() from any thread; `take` runs on the stream's own strand, several at once for several
// streams. Owner: the caller; the io_context must outlive it. Failures: a peer that does not finish its handshake
// within ten seconds is dropped; when descriptors run out, accepting pauses and goes on. Bounds: at most 256 handshakes
// at once.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/net/endpoint.hpp"
#include "common/net/tls.hpp"
#include "common/result.hpp"

namespace boost::asio {
class io_context;
}

namespace fathom::net {

class TlsStream;  // common/net/stream.hpp

class Listener {
 public:
  // The protocol is kAlpnWorker, kAlpnHttp or empty.
  using Take = std::function<void(std::unique_ptr<TlsStream>, const std::string& protocol)>;

  // A peer (HOST:PORT) showed a certificate that is not believed, for this reason. On the stream's strand.
  using Refused = std::function<void(const std::string& peer, const std::string& why)>;

  // Port 0 takes any free one; endpoint() tells which. already_exists: another program listens there;
  // invalid_argument: the host is not an address of this machine.
  static Result<std::unique_ptr<Listener>> open(boost::asio::io_context& io, const Endpoint& at, TlsContext tls,
                                                Take take, Refused refused = {});
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
  // Accepts nothing more. Streams handed on live on.
  void stop();

 private:
  class Impl;
  explicit Listener(std::shared_ptr<Impl> impl, Endpoint endpoint);
  std::shared_ptr<Impl> impl_;
  Endpoint endpoint_;
};

}  // namespace fathom::net
