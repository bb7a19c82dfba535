#include "cli/forwarder.hpp"

#include <array>
#include <chrono>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "common/net/stream.hpp"

namespace fathom::cli {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr int kMaxConnections = 256;
constexpr auto kSlowStep = std::chrono::seconds(10);  // connecting and shaking hands; relaying itself has no limit

asio::redirect_error_t<asio::use_awaitable_t<>> into(error_code& error) {
  return asio::redirect_error(asio::use_awaitable, error);
}

// One browser connection and the TLS connection behind it. Lives until both directions have ended.
struct Pair {
  Pair(tcp::socket accepted, const net::TlsContext& tls)
      : browser(std::move(accepted)), coordinator(browser.get_executor(), *tls) {}
  tcp::socket browser;
  net::TlsStream coordinator;

  // Ends both directions at once: HTTP has no use for a connection of which one half is gone.
  void close() {
    error_code ignored;
    browser.close(ignored);
    boost::beast::get_lowest_layer(coordinator).close();
  }
};

template <class From, class To>
asio::awaitable<void> relay(std::shared_ptr<Pair> pair, From& from, To& to) {
  std::array<char, 16384> buffer;
  error_code error;
  while (!error) {
    const std::size_t got = co_await from.async_read_some(asio::buffer(buffer), into(error));
    if (got > 0) {
      error_code written;
      co_await asio::async_write(to, asio::buffer(buffer.data(), got), into(written));
      if (written) break;
    }
  }
  pair->close();
}

}  // namespace

struct Forwarder::Impl {
  explicit Impl(Contact contact, net::TlsContext context)
      : coordinator(std::move(contact)), tls(std::move(context)), acceptor(io) {}

  Status listen(std::uint16_t port) {
    error_code error;
    acceptor.open(tcp::v4(), error);
    acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    const auto loopback = asio::ip::address_v4::loopback();
    acceptor.bind({loopback, port}, error);
    if (error && port != 0) acceptor.bind({loopback, 0}, error);
    if (!error) acceptor.listen(64, error);
    if (error)
      return Error{Errc::unavailable, "no port on 127.0.0.1 can be opened for the dashboard: " + error.message()};
    return success();
  }

  asio::awaitable<void> accept() {
    while (true) {
      error_code error;
      tcp::socket socket(io);
      co_await acceptor.async_accept(socket, into(error));
      if (error == asio::error::operation_aborted) co_return;
      if (error || open >= kMaxConnections) continue;
      ++open;
      asio::co_spawn(io, serve(std::make_shared<Pair>(std::move(socket), tls)),
                     [this](const std::exception_ptr&) { --open; });
    }
  }

  asio::awaitable<void> serve(std::shared_ptr<Pair> pair) {
    auto& lowest = boost::beast::get_lowest_layer(pair->coordinator);
    lowest.expires_after(kSlowStep);
    net::expect_host(pair->coordinator.native_handle(), coordinator.host);
    error_code error;
    const tcp::endpoint target(asio::ip::make_address(coordinator.host, error), coordinator.port);
    if (!error) co_await lowest.async_connect(target, into(error));
    if (!error) co_await pair->coordinator.async_handshake(asio::ssl::stream_base::client, into(error));
    if (error) {
      pair->close();  // the coordinator is away: the browser sees a closed connection and tries again
      co_return;
    }
    lowest.expires_never();
    asio::co_spawn(io, relay(pair, pair->browser, pair->coordinator), asio::detached);
    co_await relay(pair, pair->coordinator, pair->browser);
  }

  Contact coordinator;
  net::TlsContext tls;
  asio::io_context io{1};
  tcp::acceptor acceptor;
  int open = 0;  // touched on the thread only
  std::thread thread;
};

Forwarder::Forwarder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Forwarder::~Forwarder() {
  impl_->io.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

std::uint16_t Forwarder::port() const {
  error_code ignored;
  return impl_->acceptor.local_endpoint(ignored).port();
}

Result<std::unique_ptr<Forwarder>> Forwarder::start(const Contact& coordinator, std::uint16_t port) {
  FATHOM_ASSIGN(auto tls, net::client_context({.ca_file = coordinator.ca_file, .ca_sha256 = ""}, net::kAlpnHttp));
  auto impl = std::make_unique<Impl>(coordinator, std::move(tls));
  if (impl->coordinator.host == "localhost") impl->coordinator.host = "127.0.0.1";
  FATHOM_TRY(impl->listen(port));
  asio::co_spawn(impl->io, impl->accept(), asio::detached);
  Impl* running = impl.get();
  impl->thread = std::thread([running] { running->io.run(); });
  return std::unique_ptr<Forwarder>(new Forwarder(std::move(impl)));
}

}  // namespace fathom::cli
