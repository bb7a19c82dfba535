// Peers that are slow on purpose, never read, or come in numbers: each is given up in time, and others are served.
#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <regex>

#include "tests/unit/coordinator/api_fixture.hpp"

namespace fathom::api {
namespace {

namespace asio = boost::asio;

// A TLS line that is written by hand.
class RawLine {
 public:
  RawLine(const std::string& ca_file, std::uint16_t port, const std::string& alpn)
      : tls_(must(net::client_context({ca_file, ""}, alpn))), stream_(io_, *tls_) {
    stream_.next_layer().connect({asio::ip::make_address("127.0.0.1"), port});
    stream_.handshake(asio::ssl::stream_base::client, failed_);
  }
  // False: the other side has ended the line.
  bool write(const std::string& text) {
    if (!failed_) asio::write(stream_, asio::buffer(text), failed_);
    return !failed_;
  }
  // What comes next; empty: the other side has ended the line.
  std::string read() {
    std::array<char, 4096> piece{};
    return {piece.data(), stream_.read_some(asio::buffer(piece), failed_)};
  }
  // Whether nothing more can come.
  bool ended() {
    std::array<char, 4096> piece{};
    while (!failed_) stream_.read_some(asio::buffer(piece), failed_);
    return true;
  }
  // A byte now and then, never silent for long, until the other side has enough of it; false: it went on for ten
  // seconds.
  bool trickle(char byte) {
    for (int i = 0; i < 200; ++i) {
      if (!write(std::string(1, byte))) return true;
      std::this_thread::sleep_for(Millis(50));
    }
    return false;
  }

 private:
  asio::io_context io_;
  net::TlsContext tls_;
  asio::ssl::stream<asio::ip::tcp::socket> stream_;
  boost::system::error_code failed_;
};

class LimitsTest : public ApiTest {
 protected:
  LimitsTest() { settings_.patience = Millis(300); }
  RawLine line(const std::string& alpn = net::kAlpnHttp) { return {ca_file(), coordinator_->endpoint().port, alpn}; }
  int sessions() { return sessions(*client()); }
  static int sessions(net::HttpsClient& asking) {
    std::smatch found;
    const std::string text = must(asking.request("GET", "/metrics")).body;
    return std::regex_search(text, found, std::regex(R"(\nfathom_http_sessions (\d+))")) ? std::stoi(found[1]) : -1;
  }
};

TEST_F(LimitsTest, AHeadThatTricklesInIsGivenUp) {
  start();
  auto slow = line();
  ASSERT_TRUE(slow.write("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "));
  EXPECT_TRUE(slow.trickle('x'));
  EXPECT_EQ(get("/healthz").status, 200);
}

TEST_F(LimitsTest, ABodyThatTricklesInIsGivenUp) {
  start();
  auto slow = line();
  ASSERT_TRUE(slow.write("POST /api/v1/sweeps HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token() +
                         "\r\nContent-Length: 100000\r\n\r\n"));
  EXPECT_TRUE(slow.trickle(' '));
}

TEST_F(LimitsTest, AWorkerThatTricklesItsFirstMessageIsGivenUp) {
  start();
  auto slow = line(net::kAlpnWorker);
  ASSERT_TRUE(slow.write(std::string("FTHM\x01\0\0\0\xff\xff\0\0", 12)));  // a frame of 64 KiB that never comes
  EXPECT_TRUE(slow.trickle('x'));
}

TEST_F(LimitsTest, AReaderThatStandsStillIsGivenUp) {
  start();
  const std::size_t size = get("/static/app.js").body.size();
  ASSERT_GT(size, 1000U);
  auto still = line();
  const int before = sessions();
  // More than the buffers of both kernels hold, and nobody reads.
  std::string requests;
  for (std::size_t asked = 0; asked < (std::size_t{24} << 20); asked += size) {
    requests += "GET /static/app.js HTTP/1.1\r\nHost: localhost\r\n\r\n";
  }
  std::thread writer([&] { still.write(requests); });
  bool gone = false;
  for (int i = 0; i < 200 && !gone; ++i) {
    std::this_thread::sleep_for(Millis(50));
    gone = sessions() < before;
  }
  EXPECT_TRUE(gone);
  EXPECT_EQ(get("/healthz").status, 200);  // and others were served all the while
  writer.join();
  EXPECT_TRUE(still.ended());
}

TEST_F(LimitsTest, ConnectionsAreBounded) {
  settings_.connections = 8;
  settings_.patience = Millis(5000);
  start();
  auto kept = client();
  EXPECT_EQ(must(kept->request("GET", "/healthz")).status, 200);
  std::vector<std::unique_ptr<RawLine>> idle;
  for (int i = 0; i < 7; ++i)
    idle.push_back(std::make_unique<RawLine>(ca_file(), coordinator_->endpoint().port, net::kAlpnHttp));
  for (int i = 0; i < 100 && sessions(*kept) < 8; ++i) std::this_thread::sleep_for(Millis(20));
  auto refused = line();
  EXPECT_TRUE(refused.ended());
  // Who was there goes on: it was not its patience that the server lost.
  EXPECT_TRUE(idle.front()->write("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  EXPECT_TRUE(idle.front()->read().starts_with("HTTP/1.1 200"));
}

}  // namespace
}  // namespace fathom::api
