// A loopback port that relays bytes to the coordinator's TLS port. Browsers refuse a certificate that was made on this
// machine; a plain connection that never leaves it they accept. The relay adds no right: the coordinator still wants
// its cookie or token. Thread: start() runs it on a thread of its own; the destructor ends it.
#pragma once

#include <cstdint>
#include <memory>

#include "cli/client.hpp"
#include "common/result.hpp"

namespace fathom::cli {

class Forwarder {
 public:
  // Listens on 127.0.0.1:port; port 0, or one that is taken, gives a free one. At most 256 connections at once.
  static Result<std::unique_ptr<Forwarder>> start(const Contact& coordinator, std::uint16_t port);
  ~Forwarder();
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  [[nodiscard]] std::uint16_t port() const;

 private:
  struct Impl;
  explicit Forwarder(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fathom::cli
