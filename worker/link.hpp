// The worker's connection to its coordinator over TLS: made again for ever, with growing and jittered pauses. It
// carries frames; what they mean is the agent's.
//
// Thread: as Uplink; the link has one of its own. Owner: the agent; destruction closes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include "common/clock.hpp"
#include "common/net/endpoint.hpp"
#include "common/net/tls.hpp"
#include "common/result.hpp"
#include "worker/pauses.hpp"
#include "worker/uplink.hpp"

namespace fathom::net {
class Connection;
}

namespace fathom::worker {

struct LinkOptions {
  net::Endpoint coordinator;
  net::TlsContext tls;
  std::string expect_host;  // empty: a pinned CA
  Millis first_pause{200};  // Pauses
  Millis most_pause{5000};
};

class Link final : public Uplink {
 public:
  Link(LinkOptions options, Callbacks callbacks);
  ~Link() override;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void start() override;
  bool send(const wire::Envelope& envelope) override;
  bool send_bulk(const wire::Envelope& envelope) override;
  void settled(Millis lease) override;
  void use(const net::TlsContext& tls) override;
  void drop(std::uint64_t connection, const std::string& why) override;

 private:
  struct Io;  // the io_context and its work guard

  void connect();
  void connected(const std::shared_ptr<net::Connection>& connection);
  void closed(std::uint64_t number, const std::string& why);
  void connect_later();
  [[nodiscard]] std::shared_ptr<net::Connection> current();

  LinkOptions options_;  // tls under mutex_
  const Callbacks callbacks_;
  std::unique_ptr<Io> io_;

  std::mutex mutex_;
  std::condition_variable writable_;
  std::shared_ptr<net::Connection> connection_;
  std::uint64_t number_ = 0;
  bool ending_ = false;
  Pauses pauses_;
  std::mt19937_64 random_;
  std::string last_failure_;  // said once, not at every try
  std::thread thread_;
};

}  // namespace fathom::worker
