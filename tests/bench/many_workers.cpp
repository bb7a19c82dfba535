// Many workers without devices' work, in one process on one thread: each with a certificate of its own, TLS 1.3, Hello,
// heartbeats and the pauses of fathom-worker. What they cost a coordinator that has nothing to do, and how soon all of
// them are back after it was started again, is measured with it (bench_workers.py).
//
// Standard output, a line each time that all workers are welcomed: {"welcomed": N, "at_ms": unix time of the last one,
// "connects": connections made so far, "unanswered": heartbeats that wait for an answer}.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <filesystem>
#include <memory>
#include <random>
#include <stdexcept>
#include <utility>

#include "common/net/connection.hpp"
#include "common/net/endpoint.hpp"
#include "common/protocol/frame.hpp"
#include "common/protocol/wire.pb.h"
#include "worker/enroll.hpp"
#include "worker/pauses.hpp"

namespace fathom {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

template <class T>
T need(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(result).value();
}

// What all workers of the process share; one thread.
struct Crowd {
  asio::io_context io{1};
  net::Endpoint coordinator;
  std::mt19937_64 random{std::random_device{}()};
  std::size_t size = 0, welcomed = 0, connects = 0, unanswered = 0;

  void came() {
    if (++welcomed != size) return;
    const auto now = SystemClock().wall().time_since_epoch().count();
    fmt::print("{{\"welcomed\": {}, \"at_ms\": {}, \"connects\": {}, \"unanswered\": {}}}\n", size, now, connects,
               unanswered);
    std::fflush(stdout);
  }
};

class Member {
 public:
  Member(Crowd& crowd, std::string uid, net::TlsContext tls)
      : crowd_(crowd), uid_(std::move(uid)), tls_(std::move(tls)), timer_(crowd.io) {}

  void connect() {
    net::ConnectOptions options;
    options.host = crowd_.coordinator.host;
    options.port = crowd_.coordinator.port;
    options.tls = tls_;
    net::connect(crowd_.io, std::move(options), [this](Result<std::shared_ptr<net::Connection>> made) {
      if (!made) return connect_later();
      connection_ = *made;
      ++crowd_.connects;
      say_hello();
      net::Connection::Callbacks callbacks;
      callbacks.on_envelope = [this](const wire::Envelope& envelope) { received(envelope); };
      callbacks.on_close = [this](const net::CloseReason&) { lost(); };
      connection_->start(std::move(callbacks));
    });
  }

 private:
  void say_hello() {
    wire::Envelope envelope;
    wire::Hello& hello = *envelope.mutable_hello();
    hello.set_protocol(kProtocolVersion);
    hello.set_version(FATHOM_VERSION);
    hello.set_worker_uid(uid_);
    hello.set_name(uid_);
    wire::Device& device = *hello.add_devices();
    device.set_name("cpu:0");
    device.set_kind("cpu");
    device.set_threads(1);
    device.set_slots(1);
    hello.set_restarted(number_ == 0);
    connection_->send(envelope);
  }

  void received(const wire::Envelope& envelope) {
    if (envelope.has_welcome()) {
      heartbeat_ = Millis(envelope.welcome().heartbeat_ms());
      pauses_.settled(Millis(envelope.welcome().lease_ms()));
      welcomed_ = true;
      crowd_.came();
      // Not all at once: real ones did not start in the same millisecond.
      beat_after(Millis(std::uniform_int_distribution<std::int64_t>(0, heartbeat_.count())(crowd_.random)));
    } else if (envelope.has_heartbeat_ack()) {
      --crowd_.unanswered;
      --waiting_;
    } else if (envelope.has_refused()) {
      fmt::print(stderr, "{} is refused: {}\n", uid_, envelope.refused().message());
    }
  }

  void lost() {
    crowd_.unanswered -= std::exchange(waiting_, 0);
    if (std::exchange(welcomed_, false)) --crowd_.welcomed;
    connection_ = nullptr;
    connect_later();
  }

  void connect_later() {
    timer_.expires_after(pauses_.next(std::uniform_real_distribution<>(0.0, 1.0)(crowd_.random)));
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) connect();
    });
  }

  void beat_after(Millis pause) {
    timer_.expires_after(pause);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (error || !welcomed_) return;
      wire::Envelope envelope;
      envelope.mutable_heartbeat()->set_number(++number_);
      envelope.mutable_heartbeat()->set_wall_ms(SystemClock().wall().time_since_epoch().count());
      connection_->send(envelope);
      ++crowd_.unanswered;
      ++waiting_;
      beat_after(heartbeat_);
    });
  }

  Crowd& crowd_;
  const std::string uid_;
  const net::TlsContext tls_;
  asio::steady_timer timer_;  // of the next heartbeat, or of the next connection
  std::shared_ptr<net::Connection> connection_;
  worker::Pauses pauses_{Millis(200), Millis(5000)};
  Millis heartbeat_{5000};
  std::uint64_t number_ = 0;  // of the last heartbeat
  std::size_t waiting_ = 0;   // heartbeats without an answer
  bool welcomed_ = false;
};

int run(const std::string& coordinator, const std::string& token, const fs::path& state, std::size_t count) {
  Crowd crowd;
  crowd.coordinator = need(net::parse_endpoint(coordinator));
  crowd.size = count;
  std::deque<Member> members;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string uid = fmt::format("{:032x}", i + 1);
    const fs::path folder = state / uid;
    fs::create_directories(folder);
    worker::Credentials credentials(folder);
    need(credentials.load());
    worker::LinkOptions link;
    link.coordinator = crowd.coordinator;
    if (!credentials.held()) {
      need(worker::enroll({link, "", token, uid, uid}, credentials));
    }
    members.emplace_back(crowd, uid, need(credentials.tls("")));
  }
  fmt::print("{{\"joined\": {}}}\n", count);
  std::fflush(stdout);
  for (Member& member : members) member.connect();
  crowd.io.run();
  return 0;
}

}  // namespace
}  // namespace fathom

int main(int argc, char** argv) {
  CLI::App app("Many idle workers in one process.", "many_workers");
  std::string coordinator, token, state;
  std::size_t count = 1000;
  app.add_option("--coordinator", coordinator, "HOST:PORT")->required();
  app.add_option("--join-token", token, "File with the coordinator's join token")->required();
  app.add_option("--state", state, "Folder for the certificates")->required();
  app.add_option("--workers", count, "How many");
  CLI11_PARSE(app, argc, argv);
  try {
    return fathom::run(coordinator, token, state, count);
  } catch (const std::exception& error) {
    fmt::print(stderr, "many_workers: {}\n", error.what());
    return 1;
  }
}
