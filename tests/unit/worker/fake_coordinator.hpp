// The other end of a worker: a TLS server that welcomes it, keeps artifacts in memory, records what comes and answers
// only what the test lets it answer. Thread: methods from the test's thread; frames are handled on its own thread.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/net/connection.hpp"
#include "common/net/listener.hpp"
#include "common/net/secrets.hpp"
#include "common/protocol/wire.pb.h"
#include "tests/unit/worker/temp_folder.hpp"

namespace fathom::worker {

class FakeCoordinator {
 public:
  FakeCoordinator();
  ~FakeCoordinator();
  FakeCoordinator(const FakeCoordinator&) = delete;
  FakeCoordinator& operator=(const FakeCoordinator&) = delete;

  // What the next Welcome says.
  void terms(int heartbeat_ms, int lease_ms, int grace_ms);
  void abandon_next(const wire::Fence& fence);
  // What is answered by itself.
  void answer(bool heartbeats, bool items);
  // False: connections are cut as soon as they are made.
  void accept(bool accept);
  void drop();
  void send(const wire::Envelope& envelope);

  // Waits until `wanted` holds for what has come so far; false after ten seconds.
  using View = std::function<bool(const std::vector<wire::Envelope>&)>;
  [[nodiscard]] bool wait(const View& wanted);
  // The first item since forget() that satisfies `wanted`, or an empty item when none came in time.
  [[nodiscard]] wire::Item wait_item(const std::function<bool(const wire::Item&)>& wanted);
  void forget();
  [[nodiscard]] std::vector<wire::Item> items();
  [[nodiscard]] wire::Hello last_hello();
  [[nodiscard]] int hellos();

  std::string put(const std::string& bytes);  // the artifact's hash
  [[nodiscard]] std::string artifact(const std::string& sha256);

  [[nodiscard]] std::uint16_t port() const { return listener_->endpoint().port; }
  [[nodiscard]] const net::Identity& identity() const { return identity_; }

 private:
  void took(const std::shared_ptr<net::Connection>& connection, wire::Envelope& envelope);
  void welcome(net::Connection& connection);
  void artifact_message(net::Connection& connection, const wire::Envelope& envelope);
  void acknowledge(net::Connection& connection, const wire::Envelope& envelope);

  TempFolder folder_;
  net::Identity identity_;
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::unique_ptr<net::Listener> listener_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<net::Connection> connection_;
  std::vector<wire::Envelope> received_;
  std::map<std::string, std::string> artifacts_;
  std::map<std::string, std::string> uploads_;
  std::vector<wire::Fence> abandon_;
  wire::Hello hello_;
  int hellos_ = 0;
  int heartbeat_ms_ = 100;
  int lease_ms_ = 2000;
  int grace_ms_ = 60'000;
  bool answer_heartbeats_ = true;
  bool answer_items_ = true;
  bool accept_ = true;
  std::thread thread_;
};

}  // namespace fathom::worker
