// The worker's connection to its coordinator: made again for ever, with growing and jittered pauses, so that a hundred
// workers do not come back in step. It carries frames; what they mean is the agent's.
//
// Thread: every method from any thread; callbacks run on the link's own thread, those of one connection in order. Each
// connection has a number, so that the agent can tell late news of an old one. Owner: the agent; destruction closes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include "common/clock.hpp"
#include "common/net/endpoint.hpp"
#include "common/net/tls.hpp"
#include "common/result.hpp"

namespace fathom::net {
class Connection;
}
namespace fathom::wire {
class Envelope;
}

namespace fathom::worker {

struct LinkOptions {
  net::Endpoint coordinator;
  net::TlsContext tls;
  std::string expect_host;  // empty: a pinned CA
  Millis first_pause{200};  // doubles up to most_pause, each times a random share of [0.5, 1]
  Millis most_pause{5000};
};

class Link {
 public:
  struct Callbacks {
    std::function<void(std::uint64_t connection)> on_open;
    std::function<void(std::uint64_t connection, std::shared_ptr<wire::Envelope>)> on_envelope;
    std::function<void(std::uint64_t connection, const std::string& why)> on_close;
  };

  Link(LinkOptions options, Callbacks callbacks);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Begins to connect.
  void start();
  // Queues one frame on the present connection. False: there is none, the frame is dropped.
  bool send(const wire::Envelope& envelope);
  // The same for file chunks on a thread that may block: waits while much is queued.
  bool send_bulk(const wire::Envelope& envelope);
  // The coordinator has accepted us: the next pause is the first one again, and none is longer than a fifth of `lease`.
  // A coordinator that comes back gives each lease one new term; a worker that sleeps through it loses its jobs.
  void settled(Millis lease);
  // Ends the present connection, if it is still this one; a new one follows.
  void drop(std::uint64_t connection, const std::string& why);

 private:
  struct Io;  // the io_context and its work guard

  void connect();
  void connected(const std::shared_ptr<net::Connection>& connection);
  void closed(std::uint64_t number, const std::string& why);
  void connect_later();
  [[nodiscard]] std::shared_ptr<net::Connection> current();

  const LinkOptions options_;
  const Callbacks callbacks_;
  std::unique_ptr<Io> io_;

  std::mutex mutex_;
  std::condition_variable writable_;
  std::shared_ptr<net::Connection> connection_;
  std::uint64_t number_ = 0;
  bool ending_ = false;
  Millis pause_;
  Millis longest_pause_;
  std::mt19937_64 random_;
  std::string last_failure_;  // said once, not at every try
  std::thread thread_;
};

}  // namespace fathom::worker
