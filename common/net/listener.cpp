#include "common/net/listener.hpp"

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include "common/net/stream.hpp"

namespace fathom::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::chrono::seconds kHandshakeTime{10};
constexpr int kHandshakes = 256;
constexpr std::chrono::milliseconds kPause{100};

}  // namespace

class Listener::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, TlsContext tls, Take take, Refused refused)
      : io_(io),
        strand_(asio::make_strand(io)),
        acceptor_(strand_),
        pause_(strand_),
        tls_(std::move(tls)),
        take_(std::move(take)),
        refused_(std::move(refused)) {}

  Result<Endpoint> listen(const Endpoint& at) {
    error_code error;
    tcp::resolver resolver(io_);
    const auto found = resolver.resolve(at.host, std::to_string(at.port), tcp::resolver::passive, error);
    if (error || found.empty()) {
      return Error{Errc::invalid_argument, "cannot listen on " + to_text(at) + ": " + error.message()};
    }
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_.open(endpoint.protocol(), error);
    // A restart must not wait for connections of the process before; Linux still refuses a second listener.
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error == asio::error::address_in_use) {
      return Error{Errc::already_exists,
                   to_text(at) + " is in use by another program; stop it, or choose another port with --listen"};
    }
    if (error) return Error{Errc::invalid_argument, "cannot listen on " + to_text(at) + ": " + error.message()};
    return Endpoint{at.host, acceptor_.local_endpoint(error).port()};
  }

  void start() {
    asio::post(strand_, [self = shared_from_this()] { self->accept(); });
  }

  void accept() {
    if (!acceptor_.is_open()) return;
    if (handshakes_ >= kHandshakes) return rest();
    acceptor_.async_accept(asio::make_strand(io_), [self = shared_from_this()](error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted || !self->acceptor_.is_open()) return;
      // No descriptor is left: trying again at once would only turn a core hot.
      if (error) return self->rest();
      self->handshake(std::move(socket));
      self->accept();
    });
  }

  void stop() {
    asio::post(strand_, [self = shared_from_this()] {
      error_code ignored;
      self->acceptor_.close(ignored);
      self->pause_.cancel();
    });
  }

 private:
  void rest() {
    pause_.expires_after(kPause);
    pause_.async_wait([self = shared_from_this()](error_code error) {
      if (!error) self->accept();
    });
  }

  void handshake(tcp::socket socket) {
    ++handshakes_;
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    auto stream = std::make_unique<TlsStream>(boost::beast::tcp_stream(std::move(socket)), *tls_);
    boost::beast::get_lowest_layer(*stream).expires_after(kHandshakeTime);
    TlsStream& target = *stream;
    asio::post(target.get_executor(), [self = shared_from_this(), stream = std::move(stream)]() mutable {
      TlsStream& moved = *stream;
      moved.async_handshake(asio::ssl::stream_base::server,
                            [self, stream = std::move(stream)](error_code error) mutable {
                              --self->handshakes_;
                              if (error) return self->failed(*stream);
                              boost::beast::get_lowest_layer(*stream).expires_never();
                              const std::string protocol = negotiated_protocol(stream->native_handle());
                              self->take_(std::move(stream), protocol);
                            });
    });
  }

  // A line that broke or no TLS at all is nobody's business; a certificate that was shown and is wrong is.
  void failed(TlsStream& stream) const {
    const long verdict = SSL_get_verify_result(stream.native_handle());
    if (verdict != X509_V_OK && refused_) refused_(endpoint_text(stream), X509_verify_cert_error_string(verdict));
  }

  asio::io_context& io_;
  asio::strand<asio::io_context::executor_type> strand_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  TlsContext tls_;
  Take take_;
  Refused refused_;
  std::atomic<int> handshakes_{0};
};

Listener::Listener(std::shared_ptr<Impl> impl, Endpoint endpoint)
    : impl_(std::move(impl)), endpoint_(std::move(endpoint)) {}

Listener::~Listener() { stop(); }

void Listener::stop() { impl_->stop(); }

Result<std::unique_ptr<Listener>> Listener::open(asio::io_context& io, const Endpoint& at, TlsContext tls, Take take,
                                                 Refused refused) {
  auto impl = std::make_shared<Impl>(io, std::move(tls), std::move(take), std::move(refused));
  FATHOM_ASSIGN(Endpoint endpoint, impl->listen(at));
  impl->start();
  return std::unique_ptr<Listener>(new Listener(std::move(impl), std::move(endpoint)));
}

}  // namespace fathom::net
