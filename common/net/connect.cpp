// Name, TCP, TLS, ALPN: the steps to a Connection of the connecting side, under one deadline.
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include "common/net/connection.hpp"
#include "common/net/endpoint.hpp"
#include "common/net/stream.hpp"

namespace fathom::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

class Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  Attempt(asio::io_context& io, ConnectOptions options, std::function<void(Result<std::shared_ptr<Connection>>)> done)
      : options_(std::move(options)),
        done_(std::move(done)),
        strand_(asio::make_strand(io)),
        resolver_(strand_),
        deadline_(strand_),
        stream_(std::make_unique<TlsStream>(boost::beast::tcp_stream(strand_), *options_.tls)) {}

  void start() {
    deadline_.expires_after(options_.timeout);
    deadline_.async_wait([self = shared_from_this()](error_code error) {
      if (!error) self->give_up(Errc::unavailable, self->peer() + " did not answer in time");
    });
    resolver_.async_resolve(options_.host, std::to_string(options_.port),
                            [self = shared_from_this()](error_code error, const tcp::resolver::results_type& found) {
                              if (error) return self->give_up(Errc::unavailable, self->unreachable(error));
                              self->open(found);
                            });
  }

 private:
  [[nodiscard]] std::string peer() const { return to_text(Endpoint{options_.host, options_.port}); }
  [[nodiscard]] std::string unreachable(error_code error) const {
    return "cannot reach the coordinator at " + peer() + ": " + error.message();
  }

  void open(const tcp::resolver::results_type& found) {
    if (!done_) return;
    boost::beast::get_lowest_layer(*stream_).async_connect(
        found, [self = shared_from_this()](error_code error, const tcp::endpoint&) {
          if (error) return self->give_up(Errc::unavailable, self->unreachable(error));
          self->handshake();
        });
  }

  void handshake() {
    if (!done_) return;
    error_code ignored;
    // Heartbeats and acknowledgements are small and must not wait for Nagle's timer.
    boost::beast::get_lowest_layer(*stream_).socket().set_option(tcp::no_delay(true), ignored);
    if (!options_.expect_host.empty()) expect_host(stream_->native_handle(), options_.expect_host);
    stream_->async_handshake(asio::ssl::stream_base::client, [self = shared_from_this()](error_code error) {
      if (!self->done_) return;
      SSL* handle = self->stream_->native_handle();
      if (error) {
        const bool refused = SSL_get_verify_result(handle) != X509_V_OK;
        return self->give_up(refused ? Errc::unauthenticated : Errc::unavailable,
                             explain_handshake(handle, error.message(), self->peer()));
      }
      if (negotiated_protocol(handle) != kAlpnWorker) {
        return self->give_up(Errc::unsupported, self->peer() + " does not speak the worker protocol");
      }
      self->finish(adopt(std::move(self->stream_), self->options_.limits));
    });
  }

  void give_up(Errc code, std::string message) {
    if (stream_) {
      error_code ignored;
      boost::beast::get_lowest_layer(*stream_).socket().close(ignored);
    }
    finish(Error{code, std::move(message)});
  }

  void finish(Result<std::shared_ptr<Connection>> result) {
    deadline_.cancel();
    resolver_.cancel();
    if (auto done = std::exchange(done_, nullptr)) done(std::move(result));
  }

  ConnectOptions options_;
  std::function<void(Result<std::shared_ptr<Connection>>)> done_;
  asio::strand<asio::io_context::executor_type> strand_;
  tcp::resolver resolver_;
  asio::steady_timer deadline_;
  std::unique_ptr<TlsStream> stream_;
};

}  // namespace

void connect(asio::io_context& io, ConnectOptions options,
             std::function<void(Result<std::shared_ptr<Connection>>)> done) {
  std::make_shared<Attempt>(io, std::move(options), std::move(done))->start();
}

}  // namespace fathom::net
