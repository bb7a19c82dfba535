#include "coordinator/api/http/session.hpp"

#include <linux/sockios.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cctype>

#include "common/net/stream.hpp"
#include "coordinator/api/http/head.hpp"
#include "coordinator/api/http/problem.hpp"
#include "coordinator/api/http/url.hpp"

namespace fathom::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Parser = http::request_parser<http::string_body>;

constexpr std::size_t kRequestRoom = 4096;  // bytes
constexpr std::size_t kAtOnce = 8192;       // bytes: no socket's buffer is smaller
constexpr auto kNever = std::chrono::steady_clock::time_point::max();

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string address_of(const beast::tcp_stream& stream) {
  error_code error;
  const auto peer = stream.socket().remote_endpoint(error);
  return error ? "" : peer.address().to_string();
}

Request request_of(const Parser& parser) {
  Request request;
  request.method = std::string(parser.get().method_string());
  for (const auto& field : parser.get()) {
    std::string& value = request.headers[lower(field.name_string())];
    if (!value.empty()) value += ", ";
    value += std::string(field.value());
  }
  return request;
}

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::unique_ptr<net::TlsStream> stream, std::shared_ptr<HttpHandler> handler, const HttpLimits& limits,
          std::shared_ptr<std::atomic<std::size_t>> open)
      : stream_(std::move(stream)),
        handler_(std::move(handler)),
        limits_(limits),
        open_(std::move(open)),
        peer_(address_of(tcp())),
        deadline_(stream_->get_executor()),
        timer_(stream_->get_executor()) {
    ++*open_;
    // Most requests then come with one read; the buffer would grow from a few hundred bytes on.
    buffer_.reserve(kRequestRoom);
    // Nor are OpenSSL's buffers freed after each record, as Asio asks for: with two allocations of 17 kB a request the
    // allocator goes over everything that was freed since the last one.
    SSL_clear_mode(stream_->native_handle(), SSL_MODE_RELEASE_BUFFERS);
  }
  ~Session() { --*open_; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void read_head(Millis time) {
    parser_.emplace();
    parser_->header_limit(limits_.header_bytes);
    parser_->body_limit(limits_.body_bytes);
    end_after(time);
    http::async_read_header(*stream_, buffer_, *parser_, [self = shared_from_this()](error_code error, std::size_t) {
      if (error) return self->unreadable(error);
      self->took_head();
    });
  }

 private:
  beast::tcp_stream& tcp() { return beast::get_lowest_layer(*stream_); }

  // The connection ends unless another time is set until then. One timer for all requests, and mostly it is only looked
  // at when it fires: one for each operation, as Beast's own, costs as much as the operation.
  void end_after(Millis time) {
    ends_ = std::chrono::steady_clock::now() + time;
    if (ends_ < fires_) watch_deadline(ends_);
  }
  void end_never() { ends_ = kNever; }

  void watch_deadline(std::chrono::steady_clock::time_point at) {
    fires_ = at;
    deadline_.expires_at(at);
    deadline_.async_wait([weak = weak_from_this()](error_code error) {
      const auto self = weak.lock();
      if (error || !self) return;
      self->fires_ = kNever;
      if (self->ends_ == kNever) return;
      if (std::chrono::steady_clock::now() >= self->ends_) return self->close();
      self->watch_deadline(self->ends_);
    });
  }

  // Says why a request could not be read, where that helps; the connection ends.
  void unreadable(error_code error) {
    keep_alive_ = false;
    if (error == http::error::header_limit) return write(problem(431, "the request's headers are too large"));
    if (error == http::error::body_limit) {
      return write(problem(413, "a request may have at most " + std::to_string(limits_.body_bytes) + " bytes"));
    }
    const bool not_http = error.category() == http::make_error_code(http::error::bad_method).category() &&
                          error != http::error::end_of_stream && error != http::error::partial_message;
    if (not_http) write(problem(400, "this is no HTTP/1.1 request: " + error.message()));
  }

  void took_head() {
    const auto& head = parser_->get();
    keep_alive_ = head.keep_alive();
    Request request = request_of(*parser_);
    request.peer = peer_;
    head_only_ = request.method == "HEAD";
    if (head_only_) request.method = "GET";
    std::optional<Answer> refusal;
    if (!parse_target({head.target().data(), head.target().size()}, request)) {
      refusal = problem(400, "the request's path or query cannot be read");
    } else {
      refusal = guarded([&] { return handler_->refuse(request); });
    }
    if (refusal) {
      // A body that nobody reads would be taken for the next request.
      keep_alive_ = keep_alive_ && parser_->is_done();
      return write(std::move(*refusal));
    }
    if (lower(request.header("expect")) == "100-continue") return invite_body(std::move(request));
    read_body(std::move(request));
  }

  void invite_body(Request request) {
    out_ = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(*stream_, asio::buffer(out_),
                      [self = shared_from_this(), request = std::move(request)](error_code error, std::size_t) mutable {
                        if (!error) self->read_body(std::move(request));
                      });
  }

  void read_body(Request request) {
    // Small requests come in one piece: what is here already need not be asked for.
    parser_->eager(true);
    error_code ended;
    while (!ended && !parser_->is_done() && buffer_.size() != 0) buffer_.consume(parser_->put(buffer_.data(), ended));
    if (ended && ended != http::error::need_more) return unreadable(ended);
    if (parser_->is_done()) {
      request.body = std::move(parser_->get().body());
      return dispatch(std::move(request));
    }
    end_after(limits_.body_time);
    http::async_read(*stream_, buffer_, *parser_,
                     [self = shared_from_this(), request = std::move(request)](error_code error, std::size_t) mutable {
                       if (error) return self->unreadable(error);
                       request.body = std::move(self->parser_->get().body());
                       self->dispatch(std::move(request));
                     });
  }

  void dispatch(Request request) {
    end_never();
    auto once = std::make_shared<std::atomic<bool>>(false);
    Respond respond = [self = shared_from_this(), once](Answer answer) {
      if (once->exchange(true)) return;
      asio::dispatch(self->stream_->get_executor(),
                     [self, answer = std::make_shared<Answer>(std::move(answer))] { self->write(std::move(*answer)); });
    };
    auto failed = guarded([&]() -> std::optional<Answer> {
      handler_->handle(std::move(request), respond);
      return std::nullopt;
    });
    if (failed) respond(std::move(*failed));
  }

  template <class Call>
  static std::optional<Answer> guarded(Call call) {
    try {
      return call();
    } catch (const std::exception& e) {
      spdlog::error("request failed error=\"{}\"", e.what());
      return problem(500, "the coordinator could not answer; its log says why");
    }
  }

  void write(Answer answer) {
    answer_ = std::move(answer);
    if (answer_.live) keep_alive_ = false;
    out_ = head_bytes(answer_, keep_alive_);
    if (!head_only_ && !answer_.source && !answer_.live && answer_.status != 304) out_ += answer_.body;
    end_after(limits_.write_time);
    if (out_.size() <= kAtOnce && !answer_.live && !answer_.source && all_was_taken()) {
      error_code error;
      asio::write(*stream_, asio::buffer(out_), error);
      return error ? close() : finish();
    }
    asio::async_write(*stream_, asio::buffer(out_), [self = shared_from_this()](error_code error, std::size_t) {
      if (error) return;
      if (self->answer_.live && !self->head_only_) return self->begin_live();
      if (self->answer_.source && !self->head_only_) return self->write_piece();
      self->finish();
    });
  }

  // Nothing that was sent before waits in the socket's buffer: a small answer goes into it without waiting, and without
  // the way through the queues of an asynchronous write.
  bool all_was_taken() {
    int waiting = 0;
    return ::ioctl(tcp().socket().native_handle(), SIOCOUTQ, &waiting) == 0 && waiting == 0;
  }

  void write_piece() {
    auto piece = answer_.source->next();
    if (!piece) {
      // The length was promised: a cut connection is the only honest end.
      spdlog::error("a download broke off error=\"{}\"", piece.error().message);
      return close();
    }
    if (piece->empty()) return finish();
    out_ = std::move(*piece);
    end_after(limits_.write_time);
    asio::async_write(*stream_, asio::buffer(out_), [self = shared_from_this()](error_code error, std::size_t) {
      if (!error) self->write_piece();
    });
  }

  void finish() {
    answer_ = {};
    if (keep_alive_) return read_head(limits_.keep_alive);
    end_after(limits_.header_time);
    stream_->async_shutdown([self = shared_from_this()](error_code) {});
  }

  void close() {
    error_code ignored;
    tcp().socket().close(ignored);
    timer_.cancel();
    deadline_.cancel();
  }

  // An event stream: text when there is some, a comment when there is none for long, until either side ends it.
  void begin_live() {
    end_never();
    answer_.live->start([weak = weak_from_this()] {
      if (auto self = weak.lock()) asio::post(self->stream_->get_executor(), [self] { self->pump(); });
    });
    watch_reader();
    pump();
    beat();
  }

  void pump() {
    if (live_writing_ || !tcp().socket().is_open()) return;
    const std::string text = answer_.live->take();
    if (!text.empty()) write_live(text);
  }

  void write_live(const std::string& text) {
    live_writing_ = true;
    live_since_ = std::chrono::steady_clock::now();
    out_ = chunk_bytes(text);
    asio::async_write(*stream_, asio::buffer(out_), [self = shared_from_this()](error_code error, std::size_t) {
      self->live_writing_ = false;
      if (error) return self->close();
      self->pump();
    });
  }

  void beat() {
    timer_.expires_after(limits_.live_heartbeat);
    timer_.async_wait([weak = weak_from_this()](error_code error) {
      const auto self = weak.lock();
      if (error || !self) return;
      const auto silent = std::chrono::steady_clock::now() - self->live_since_;
      if (self->live_writing_ && silent > self->limits_.write_time) return self->close();
      if (!self->live_writing_ && silent >= self->limits_.live_heartbeat) self->write_live(": still here\n\n");
      self->beat();
    });
  }

  // Nothing may come any more; reading shows when the client has left.
  void watch_reader() {
    stream_->async_read_some(asio::buffer(ignored_), [self = shared_from_this()](error_code error, std::size_t) {
      if (error) return self->close();
      self->watch_reader();
    });
  }

  const std::unique_ptr<net::TlsStream> stream_;
  const std::shared_ptr<HttpHandler> handler_;
  const HttpLimits limits_;
  const std::shared_ptr<std::atomic<std::size_t>> open_;
  const std::string peer_;
  asio::steady_timer deadline_;
  std::chrono::steady_clock::time_point ends_ = kNever;   // of the connection
  std::chrono::steady_clock::time_point fires_ = kNever;  // of deadline_: not after ends_
  asio::steady_timer timer_;                              // of a live answer
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  Answer answer_;
  std::string out_;
  std::array<char, 512> ignored_{};
  std::chrono::steady_clock::time_point live_since_{};
  bool keep_alive_ = false;
  bool head_only_ = false;
  bool live_writing_ = false;
};

}  // namespace

void serve_http(std::unique_ptr<net::TlsStream> stream, std::shared_ptr<HttpHandler> handler, const HttpLimits& limits,
                std::shared_ptr<std::atomic<std::size_t>> open) {
  if (*open >= limits.sessions) return;
  std::make_shared<Session>(std::move(stream), std::move(handler), limits, std::move(open))
      ->read_head(limits.header_time);
}

}  // namespace fathom::api
