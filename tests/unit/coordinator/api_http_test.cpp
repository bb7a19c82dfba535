// The HTTP server against clients that do not behave: bytes are written by hand over TLS.
#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include "tests/unit/coordinator/api_fixture.hpp"

namespace fathom::api {
namespace {

class RawTest : public ApiTest {
 protected:
  // Sends `text`, then reads until the server closes the connection.
  std::string exchange(const std::string& text) {
    namespace asio = boost::asio;
    asio::io_context io;
    const auto tls = must(net::client_context({ca_file(), ""}, net::kAlpnHttp));
    asio::ssl::stream<asio::ip::tcp::socket> stream(io, *tls);
    stream.next_layer().connect({asio::ip::make_address("127.0.0.1"), coordinator_->endpoint().port});
    stream.handshake(asio::ssl::stream_base::client);
    boost::system::error_code error;
    asio::write(stream, asio::buffer(text), error);
    std::string got;
    std::array<char, 4096> piece{};
    while (!error) {
      const std::size_t size = stream.read_some(asio::buffer(piece), error);
      got.append(piece.data(), size);
    }
    return got;
  }
  std::string head(const std::string& request, const std::string& more = "") {
    return request + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token() + "\r\n" + more + "\r\n";
  }
};

TEST_F(RawTest, WhatIsNoHttpIsTold) {
  start();
  EXPECT_TRUE(exchange("this is no http\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(exchange(head("GET api")).starts_with("HTTP/1.1 400") || exchange(head("GET api")).empty());
  EXPECT_TRUE(exchange(head("GET /%zz", "Connection: close\r\n")).starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(exchange(head("GET /a/../b", "Connection: close\r\n")).starts_with("HTTP/1.1 400"));
}

TEST_F(RawTest, LimitsAreKept) {
  settings_.body.value = 1024;
  start();
  EXPECT_TRUE(exchange(head("GET /healthz", "X: " + std::string(20'000, 'x') + "\r\n")).starts_with("HTTP/1.1 431"));
  EXPECT_TRUE(exchange(head("POST /api/v1/sweeps", "Content-Length: 1025\r\n")).starts_with("HTTP/1.1 413"));
  const std::string chunked = head("POST /api/v1/sweeps", "Transfer-Encoding: chunked\r\n") + "800\r\n" +
                              std::string(2048, 'x') + "\r\n0\r\n\r\n";
  EXPECT_TRUE(exchange(chunked).starts_with("HTTP/1.1 413"));
}

TEST_F(RawTest, AStrangersBodyIsNotRead) {
  start();
  const std::string answer =
      exchange("POST /api/v1/sweeps HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 401"));
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
}

TEST_F(RawTest, RequestsFollowEachOtherOnOneConnection) {
  start();
  const std::string one = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const std::string last = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  const std::string answers = exchange(one + one + last);
  std::size_t count = 0;
  for (auto at = answers.find("HTTP/1.1 200"); at != std::string::npos; at = answers.find("HTTP/1.1 200", at + 1))
    ++count;
  EXPECT_EQ(count, 3U);
}

TEST_F(RawTest, AClientThatWaitsForAnInvitationGetsOne) {
  start();
  const std::string answer = exchange(
      head("POST /api/v1/sweeps", "Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n") + "{}");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400"));
}

}  // namespace
}  // namespace fathom::api
