#include <boost/asio/write.hpp>
#include <future>

#include "common/net/connection.hpp"
#include "common/protocol/wire.pb.h"
#include "tests/unit/common/net_fixture.hpp"

namespace fathom::net {
namespace {

using std::chrono::seconds;
using ConnectionPtr = std::shared_ptr<Connection>;

// A server that echoes every frame, and what is needed to reach it.
class ConnectionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    identity_ = must(ensure_identity(folder_.path(), {}));
    listener_ = must(Listener::open(io_.io(), {"127.0.0.1", 0}, must(server_context(identity_)),
                                    [this](std::unique_ptr<TlsStream> stream, const std::string& protocol) {
                                      if (protocol == kAlpnWorker) serve(std::move(stream));
                                    }));
  }

  void serve(std::unique_ptr<TlsStream> stream) {
    auto connection = adopt(std::move(stream), server_limits_);
    Connection::Callbacks callbacks;
    callbacks.on_envelope = [weak = std::weak_ptr(connection), this](wire::Envelope& envelope) {
      if (auto strong = weak.lock(); strong && echo_) strong->send(envelope);
    };
    callbacks.on_close = [this](const CloseReason& reason) { server_closed_.set_value(reason); };
    connection->start(std::move(callbacks));
    served_.set_value(connection);
  }

  Result<ConnectionPtr> dial(const Trust& trust, const std::string& expect = "",
                             const std::string& host = "127.0.0.1") {
    std::promise<Result<ConnectionPtr>> connected;
    ConnectOptions options;
    options.host = host;
    options.port = listener_->endpoint().port;
    options.tls = must(client_context(trust, kAlpnWorker));
    options.expect_host = expect;
    options.limits = client_limits_;
    connect(io_.io(), options, [&](Result<ConnectionPtr> result) { connected.set_value(std::move(result)); });
    return connected.get_future().get();
  }

  void TearDown() override { io_.stop(); }

  IoThread io_;  // first: it outlives the connections
  TempFolder folder_;
  Identity identity_;
  Connection::Limits server_limits_;
  Connection::Limits client_limits_;
  bool echo_ = true;
  std::promise<CloseReason> server_closed_;
  std::promise<ConnectionPtr> served_;
  std::unique_ptr<Listener> listener_;
};

wire::Envelope heartbeat(std::uint64_t number) {
  wire::Envelope envelope;
  envelope.mutable_heartbeat()->set_number(number);
  return envelope;
}

TEST_F(ConnectionTest, FramesComeBackInOrder) {
  const auto connection = must(dial({"", identity_.ca_sha256}));
  std::promise<void> all;
  std::uint64_t next = 1;
  constexpr std::uint64_t kCount = 5000;
  Connection::Callbacks callbacks;
  callbacks.on_envelope = [&](wire::Envelope& envelope) {
    EXPECT_EQ(envelope.heartbeat().number(), next);
    if (next++ == kCount) all.set_value();
  };
  connection->start(callbacks);
  for (std::uint64_t i = 1; i <= kCount; ++i) ASSERT_TRUE(connection->send(heartbeat(i)));
  ASSERT_EQ(all.get_future().wait_for(seconds(20)), std::future_status::ready);
  connection->close("done");
  const auto reason = server_closed_.get_future();
  ASSERT_EQ(reason.wait_for(seconds(5)), std::future_status::ready);
}

TEST_F(ConnectionTest, OnlyTheRightAuthorityIsBelieved) {
  EXPECT_TRUE(dial({identity_.ca_file, ""}, "127.0.0.1").ok());
  const auto wrong_pin = dial({"", std::string(64, '0')});
  ASSERT_FALSE(wrong_pin.ok());
  EXPECT_EQ(wrong_pin.error().code, Errc::unauthenticated);
  const TempFolder other;
  const auto stranger = must(ensure_identity(other.path(), {}));
  const auto wrong_file = dial({stranger.ca_file, ""}, "127.0.0.1");
  ASSERT_FALSE(wrong_file.ok());
  EXPECT_EQ(wrong_file.error().code, Errc::unauthenticated);
}

TEST_F(ConnectionTest, ThePinOfTheServerCertificateItselfIsNotAnAuthority) {
  const auto leaf = must(certificate_fingerprint(identity_.certificate_file));
  EXPECT_FALSE(dial({"", leaf}).ok());
}

TEST_F(ConnectionTest, AnotherHostNameIsRefused) {
  const auto connection = dial({identity_.ca_file, ""}, "elsewhere.example.org");
  ASSERT_FALSE(connection.ok());
  EXPECT_NE(connection.error().message.find("--hostname"), std::string::npos);
}

TEST_F(ConnectionTest, NothingListening) {
  const auto port = listener_->endpoint().port;
  listener_.reset();
  ConnectOptions options;
  options.host = "127.0.0.1";
  options.port = port;
  options.tls = must(client_context({"", identity_.ca_sha256}, kAlpnWorker));
  std::promise<Result<ConnectionPtr>> connected;
  std::this_thread::sleep_for(Millis(50));  // the acceptor closes on its strand
  connect(io_.io(), options, [&](Result<ConnectionPtr> result) { connected.set_value(std::move(result)); });
  const auto result = connected.get_future().get();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, Errc::unavailable);
}

TEST_F(ConnectionTest, ATakenPortIsNamed) {
  const auto again = Listener::open(io_.io(), listener_->endpoint(), must(server_context(identity_)),
                                    [](std::unique_ptr<TlsStream>, const std::string&) {});
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, Errc::already_exists);
  EXPECT_NE(again.error().message.find("--listen"), std::string::npos);
}

TEST_F(ConnectionTest, SilenceEndsTheConnection) {
  server_limits_.idle = Millis(120);
  const auto connection = must(dial({"", identity_.ca_sha256}));
  connection->start({});
  auto closed = server_closed_.get_future();
  ASSERT_EQ(closed.wait_for(seconds(5)), std::future_status::ready);
  EXPECT_EQ(closed.get().kind, CloseReason::Kind::silent);
}

TEST_F(ConnectionTest, APeerThatDoesNotReadOverflowsItsQueue) {
  server_limits_.queue_bytes = 1 << 20;
  const auto connection = must(dial({"", identity_.ca_sha256}));
  connection->hold(true);
  connection->start({});
  const auto server = served_.get_future().get();
  wire::Envelope chunk;
  chunk.mutable_artifact_chunk()->set_data(std::string(256 * 1024, 'x'));
  bool sent = true;
  for (int i = 0; sent && i < 200; ++i) sent = server->send(chunk);
  EXPECT_FALSE(sent);
  auto closed = server_closed_.get_future();
  ASSERT_EQ(closed.wait_for(seconds(5)), std::future_status::ready);
  EXPECT_EQ(closed.get().kind, CloseReason::Kind::overflow);
}

TEST_F(ConnectionTest, WhatIsQueuedBeforeCloseArrives) {
  echo_ = false;
  const auto connection = must(dial({"", identity_.ca_sha256}));
  std::promise<std::string> refused;
  std::promise<CloseReason> closed;
  Connection::Callbacks callbacks;
  callbacks.on_envelope = [&](wire::Envelope& envelope) { refused.set_value(envelope.refused().code()); };
  callbacks.on_close = [&](const CloseReason& reason) { closed.set_value(reason); };
  connection->start(callbacks);
  const auto server = served_.get_future().get();
  connection->send(heartbeat(1));  // unread bytes at the server must not turn its goodbye into a reset
  wire::Envelope envelope;
  envelope.mutable_refused()->set_code("version");
  server->send(envelope);
  server->close("refused");
  EXPECT_FALSE(server->send(envelope));
  auto code = refused.get_future();
  ASSERT_EQ(code.wait_for(seconds(5)), std::future_status::ready);
  EXPECT_EQ(code.get(), "version");
  auto reason = closed.get_future();
  ASSERT_EQ(reason.wait_for(seconds(5)), std::future_status::ready);
  EXPECT_EQ(reason.get().kind, CloseReason::Kind::peer);
}

// It ends the stream as soon as it has our goodbye, and answers none.
TEST_F(ConnectionTest, APeerThatIsGoneIsNotWaitedFor) {
  const auto connection = must(dial({"", identity_.ca_sha256}));
  std::promise<CloseReason> closed;
  Connection::Callbacks callbacks;
  callbacks.on_envelope = [&](wire::Envelope&) { connection->close("answered"); };
  callbacks.on_close = [&](const CloseReason& reason) { closed.set_value(reason); };
  connection->start(callbacks);
  connection->send(heartbeat(1));
  auto reason = closed.get_future();
  ASSERT_EQ(reason.wait_for(Millis(1500)), std::future_status::ready) << "a goodbye is given up after 2 s";
  EXPECT_EQ(reason.get().kind, CloseReason::Kind::local);
}

}  // namespace
}  // namespace fathom::net
