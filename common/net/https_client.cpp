#include "common/net/https_client.hpp"

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "common/files.hpp"
#include "common/net/endpoint.hpp"
#include "common/net/stream.hpp"

namespace fathom::net {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

// Asynchronous operations, each run to its end on the caller's thread: Beast's deadlines work only for those.
class HttpsClient::Impl {
 public:
  explicit Impl(HttpsOptions options) : options_(std::move(options)), resolver_(io_) {}

  Status send(const std::string& method, const std::string& path, const Headers& headers, const std::string& body);
  Result<Response> receive(bool head_only);
  Result<Response> receive_stream(const std::function<bool(std::string_view)>& take, Millis idle);
  void drop() { stream_.reset(); }
  [[nodiscard]] bool is_open() const { return stream_ != nullptr; }
  [[nodiscard]] bool cancelled() const { return cancelled_; }
  void cancel() {
    cancelled_ = true;
    asio::post(io_, [this] {
      resolver_.cancel();
      if (stream_) beast::get_lowest_layer(*stream_).cancel();
    });
  }

 private:
  // Starts an operation by start(handler) and runs it to its end.
  template <class Start>
  error_code run(Millis timeout, Start start) {
    if (cancelled_) return asio::error::operation_aborted;
    error_code result = asio::error::would_block;
    if (stream_) {
      auto& tcp = beast::get_lowest_layer(*stream_);
      if (timeout.count() > 0) {
        tcp.expires_after(timeout);
      } else {
        tcp.expires_never();
      }
    }
    start([&result](error_code error, auto&&...) { result = error; });
    io_.restart();
    io_.run();
    return result;
  }

  Status open();
  [[nodiscard]] Error failure(const std::string& doing, error_code error) const;
  [[nodiscard]] std::string peer() const { return to_text(Endpoint{options_.host, options_.port}); }
  template <class Message>
  static Response head_of(const Message& message);

  const HttpsOptions options_;
  asio::io_context io_{1};
  tcp::resolver resolver_;
  std::unique_ptr<TlsStream> stream_;
  beast::flat_buffer buffer_;
  std::atomic<bool> cancelled_{false};
};

Error HttpsClient::Impl::failure(const std::string& doing, error_code error) const {
  if (cancelled_) return {Errc::unavailable, "cancelled"};
  if (error == http::error::body_limit) {
    return {Errc::resource_exhausted, "the answer of " + peer() + " is larger than this client takes"};
  }
  const std::string why = error == beast::error::timeout ? "it did not answer in time" : error.message();
  return {Errc::unavailable, doing + " " + peer() + " failed: " + why};
}

Status HttpsClient::Impl::open() {
  tcp::resolver::results_type found;
  error_code error = run(options_.timeout, [&](auto done) {
    resolver_.async_resolve(options_.host, std::to_string(options_.port),
                            [&found, done](error_code e, auto results) mutable {
                              found = results;
                              done(e);
                            });
  });
  if (error) return failure("finding", error);
  stream_ = std::make_unique<TlsStream>(beast::tcp_stream(io_), *options_.tls);
  buffer_.clear();
  auto& tcp = beast::get_lowest_layer(*stream_);
  error = run(options_.timeout, [&](auto done) { tcp.async_connect(found, done); });
  if (error) {
    drop();
    return failure("connecting to", error);
  }
  error_code ignored;
  tcp.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  SSL* handle = stream_->native_handle();
  if (!options_.expect_host.empty()) expect_host(handle, options_.expect_host);
  error = run(options_.timeout, [&](auto done) { stream_->async_handshake(asio::ssl::stream_base::client, done); });
  if (!error) return success();
  const bool distrusted = SSL_get_verify_result(handle) != X509_V_OK;
  Error reason{distrusted ? Errc::unauthenticated : Errc::unavailable,
               cancelled_ ? "cancelled" : explain_handshake(handle, error.message(), peer())};
  drop();
  return reason;
}

Status HttpsClient::Impl::send(const std::string& method, const std::string& path, const Headers& headers,
                               const std::string& body) {
  if (!stream_) FATHOM_TRY(open());
  http::request<http::string_body> message(http::string_to_verb(method), path, 11);
  if (message.method() == http::verb::unknown) message.method_string(method);
  message.set(http::field::host, peer());
  message.set(http::field::user_agent, "fathom");
  if (!options_.bearer.empty()) message.set(http::field::authorization, "Bearer " + options_.bearer);
  for (const auto& [name, value] : headers) message.set(name, value);
  message.body() = body;
  if (!body.empty() || method != "GET") message.prepare_payload();
  const error_code error = run(options_.timeout, [&](auto done) { http::async_write(*stream_, message, done); });
  if (error) return failure("sending to", error);
  return success();
}

template <class Message>
Response HttpsClient::Impl::head_of(const Message& message) {
  Response response;
  response.status = static_cast<int>(message.result_int());
  for (const auto& field : message) {
    std::string name(field.name_string());
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    response.headers[name] = std::string(field.value());
  }
  return response;
}

Result<Response> HttpsClient::Impl::receive(bool head_only) {
  http::response_parser<http::string_body> parser;
  parser.skip(head_only);  // the answer to HEAD names the length of a body that does not come
  parser.body_limit(options_.body_limit);
  const error_code error = run(options_.timeout, [&](auto done) { http::async_read(*stream_, buffer_, parser, done); });
  if (error) {
    drop();
    return failure("reading from", error);
  }
  Response response = head_of(parser.get());
  response.body = std::move(parser.get().body());
  if (!parser.get().keep_alive()) drop();
  return response;
}

Result<Response> HttpsClient::Impl::receive_stream(const std::function<bool(std::string_view)>& take, Millis idle) {
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  error_code error =
      run(options_.timeout, [&](auto done) { http::async_read_header(*stream_, buffer_, parser, done); });
  if (error) return failure("reading from", error);
  Response response = head_of(parser.get());
  std::string chunk(64 * 1024, '\0');
  while (!parser.is_done()) {
    parser.get().body().data = chunk.data();
    parser.get().body().size = chunk.size();
    error = run(idle, [&](auto done) { http::async_read_some(*stream_, buffer_, parser, done); });
    // need_buffer only says that `chunk` is full.
    if (error && error != http::error::need_buffer) return failure("reading from", error);
    const std::string_view got(chunk.data(), chunk.size() - parser.get().body().size);
    if (response.status == 200) {
      if (!got.empty() && !take(got)) return response;
    } else if (response.body.size() + got.size() <= options_.body_limit) {
      response.body += got;
    }
  }
  return response;
}

HttpsClient::HttpsClient(HttpsOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
HttpsClient::~HttpsClient() = default;

void HttpsClient::cancel() { impl_->cancel(); }

Result<Response> HttpsClient::request(const std::string& method, const std::string& path, const Headers& headers,
                                      const std::string& body) {
  const bool harmless = method == "GET" || headers.contains("Idempotency-Key");
  const bool reused = impl_->is_open();
  auto sent = impl_->send(method, path, headers, body);
  auto answer = sent ? impl_->receive(method == "HEAD") : Result<Response>(sent.error());
  if (answer || !reused || !harmless || impl_->cancelled() || answer.error().code != Errc::unavailable) return answer;
  // The server had closed the kept connection meanwhile.
  impl_->drop();
  FATHOM_TRY(impl_->send(method, path, headers, body));
  return impl_->receive(method == "HEAD");
}

Result<Response> HttpsClient::stream(const std::string& path, const Headers& headers,
                                     const std::function<bool(std::string_view)>& take, Millis idle) {
  // A fresh connection: the stream may end in its middle, and a stale one would need the same second try as above.
  impl_->drop();
  FATHOM_TRY(impl_->send("GET", path, headers, ""));
  auto answer = impl_->receive_stream(take, idle);
  impl_->drop();
  return answer;
}

Result<Response> HttpsClient::events(const std::string& path, const std::string& last_event_id,
                                     const std::function<bool(const SseEvent&)>& take, Millis idle) {
  Headers headers{{"Accept", "text/event-stream"}};
  if (!last_event_id.empty()) headers["Last-Event-ID"] = last_event_id;
  SseParser parser;
  const auto take_bytes = [&](std::string_view bytes) {
    for (const SseEvent& event : parser.feed(bytes)) {
      if (!take(event)) return false;
    }
    return true;
  };
  return stream(path, headers, take_bytes, idle);
}

Result<Response> HttpsClient::download(const std::string& path, const std::string& file) {
  const std::string part = file + ".part";
  std::ofstream out(part, std::ios::binary | std::ios::trunc);
  if (!out) return system_error(errno, "writing", part);
  bool written = true;
  auto answer = stream(
      path, {},
      [&](std::string_view bytes) {
        written = static_cast<bool>(out.write(bytes.data(), static_cast<std::streamsize>(bytes.size())));
        return written;
      },
      Millis{30'000});
  out.close();
  written = written && out.good();
  std::error_code ignored;
  if (!answer || answer->status != 200 || !written) {
    std::filesystem::remove(part, ignored);
    if (answer && answer->status == 200)
      return Error{Errc::resource_exhausted, "writing " + part + " failed; is the disk full?"};
    return answer;
  }
  if (std::rename(part.c_str(), file.c_str()) != 0) return system_error(errno, "renaming to", file);
  return answer;
}

}  // namespace fathom::net
