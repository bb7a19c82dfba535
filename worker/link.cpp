#include "worker/link.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "common/net/connection.hpp"
#include "common/protocol/wire.pb.h"
#include "common/thread_name.hpp"

namespace fathom::worker {

namespace asio = boost::asio;

struct Link::Io {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  asio::steady_timer retry{context};
};

Link::Link(LinkOptions options, Callbacks callbacks)
    : options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      io_(std::make_unique<Io>()),
      pauses_(options_.first_pause, options_.most_pause),
      random_(std::random_device{}()) {}

Link::~Link() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    if (connection_) connection_->close("the worker ends");
    writable_.notify_all();
    if (!connection_) io_->context.stop();
  }
  if (!thread_.joinable()) return;
  // The farewell gets a moment; a peer that does not answer must not hold up the end.
  asio::post(io_->context, [this] {
    io_->retry.expires_after(std::chrono::milliseconds(500));
    io_->retry.async_wait([this](const boost::system::error_code&) { io_->context.stop(); });
  });
  thread_.join();
}

void Link::start() {
  thread_ = std::thread([this] {
    name_thread("link");
    connect();
    io_->context.run();
  });
}

void Link::connect() {
  net::ConnectOptions options;
  options.host = options_.coordinator.host;
  options.port = options_.coordinator.port;
  {
    const std::lock_guard lock(mutex_);
    options.tls = options_.tls;
  }
  options.expect_host = options_.expect_host;
  net::connect(io_->context, std::move(options), [this](Result<std::shared_ptr<net::Connection>> result) {
    if (result) return connected(*result);
    if (result.error().message != last_failure_) {
      last_failure_ = result.error().message;
      spdlog::warn("not connected, trying on error=\"{}\"", last_failure_);
    }
    connect_later();
  });
}

void Link::connected(const std::shared_ptr<net::Connection>& connection) {
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return connection->close("the worker ends");
    connection_ = connection;
    number = ++number_;
    last_failure_.clear();
  }
  net::Connection::Callbacks callbacks;
  callbacks.on_envelope = [this, number](wire::Envelope& envelope) {
    callbacks_.on_envelope(number, std::make_shared<wire::Envelope>(std::move(envelope)));
  };
  callbacks.on_close = [this, number](const net::CloseReason& reason) { closed(number, reason.text); };
  callbacks.on_writable = [this] {
    const std::lock_guard lock(mutex_);
    writable_.notify_all();
  };
  callbacks_.on_open(number);
  connection->start(std::move(callbacks));
}

void Link::closed(std::uint64_t number, const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return io_->context.stop();
    if (number != number_ || !connection_) return;  // dropped before: the next one is on its way
    connection_ = nullptr;
    writable_.notify_all();
  }
  callbacks_.on_close(number, why);
  connect_later();
}

void Link::connect_later() {
  const std::lock_guard lock(mutex_);
  if (ending_) return;
  io_->retry.expires_after(pauses_.next(std::uniform_real_distribution<>(0.0, 1.0)(random_)));
  io_->retry.async_wait([this](const boost::system::error_code& error) {
    if (!error) connect();
  });
}

std::shared_ptr<net::Connection> Link::current() {
  const std::lock_guard lock(mutex_);
  return connection_;
}

bool Link::send(const wire::Envelope& envelope) {
  const auto connection = current();
  return connection && connection->send(envelope);
}

bool Link::send_bulk(const wire::Envelope& envelope) {
  std::shared_ptr<net::Connection> connection;
  {
    std::unique_lock lock(mutex_);
    connection = connection_;
    while (connection && connection->queued() > net::Connection::kLowWater) {
      writable_.wait_for(lock, std::chrono::milliseconds(50));
      if (connection_ != connection) return false;
    }
  }
  return connection && connection->send(envelope);
}

void Link::settled(Millis lease) {
  const std::lock_guard lock(mutex_);
  pauses_.settled(lease);
}

void Link::use(const net::TlsContext& tls) {
  const std::lock_guard lock(mutex_);
  options_.tls = tls;
}

void Link::drop(std::uint64_t connection, const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    if (!connection_ || number_ != connection) return;
    // A half-open line says no goodbye: its end is not waited for.
    std::exchange(connection_, nullptr)->close(why);
    writable_.notify_all();
  }
  callbacks_.on_close(connection, why);
  asio::post(io_->context, [this] { connect_later(); });
}

}  // namespace fathom::worker
