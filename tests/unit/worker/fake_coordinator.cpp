#include "tests/unit/worker/fake_coordinator.hpp"

#include <algorithm>
#include <stdexcept>

#include "common/net/stream.hpp"
#include "common/sha256.hpp"

namespace fathom::worker {
namespace {

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(result).value();
}

}  // namespace

FakeCoordinator::FakeCoordinator()
    : identity_(must(net::ensure_identity(folder_.path().string(), {}))), work_(boost::asio::make_work_guard(io_)) {
  auto take = [this](std::unique_ptr<net::TlsStream> stream, const std::string&) {
    auto connection = net::adopt(std::move(stream), {});
    const std::lock_guard lock(mutex_);
    if (!accept_) return connection->close("not now");
    connection_ = connection;
    net::Connection::Callbacks callbacks;
    callbacks.on_envelope = [this, connection](wire::Envelope& envelope) { took(connection, envelope); };
    connection->start(std::move(callbacks));
  };
  listener_ = must(net::Listener::open(io_, {"127.0.0.1", 0}, must(net::server_context(identity_)), take));
  thread_ = std::thread([this] { io_.run(); });
}

FakeCoordinator::~FakeCoordinator() {
  listener_->stop();
  io_.stop();
  thread_.join();
}

void FakeCoordinator::terms(int heartbeat_ms, int lease_ms, int grace_ms) {
  const std::lock_guard lock(mutex_);
  heartbeat_ms_ = heartbeat_ms;
  lease_ms_ = lease_ms;
  grace_ms_ = grace_ms;
}

void FakeCoordinator::abandon_next(const wire::Fence& fence) {
  const std::lock_guard lock(mutex_);
  abandon_.push_back(fence);
}

void FakeCoordinator::answer(bool heartbeats, bool items) {
  const std::lock_guard lock(mutex_);
  answer_heartbeats_ = heartbeats;
  answer_items_ = items;
}

void FakeCoordinator::accept(bool accept) {
  const std::lock_guard lock(mutex_);
  accept_ = accept;
}

void FakeCoordinator::drop() {
  const std::lock_guard lock(mutex_);
  if (connection_) connection_->close("dropped by the test");
  connection_ = nullptr;
}

void FakeCoordinator::send(const wire::Envelope& envelope) {
  const std::lock_guard lock(mutex_);
  if (connection_) connection_->send(envelope);
}

bool FakeCoordinator::wait(const View& wanted) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return wanted(received_); });
}

wire::Item FakeCoordinator::wait_item(const std::function<bool(const wire::Item&)>& wanted) {
  wire::Item found;
  (void)wait([&](const std::vector<wire::Envelope>& all) {
    for (const wire::Envelope& envelope : all) {
      for (const wire::Item& item : envelope.items().items()) {
        if (!wanted(item)) continue;
        found = item;
        return true;
      }
    }
    return false;
  });
  return found;
}

void FakeCoordinator::forget() {
  const std::lock_guard lock(mutex_);
  received_.clear();
}

std::vector<wire::Item> FakeCoordinator::items() {
  const std::lock_guard lock(mutex_);
  std::vector<wire::Item> all;
  for (const wire::Envelope& envelope : received_) {
    for (const wire::Item& item : envelope.items().items()) all.push_back(item);
  }
  return all;
}

wire::Hello FakeCoordinator::last_hello() {
  const std::lock_guard lock(mutex_);
  return hello_;
}

int FakeCoordinator::hellos() {
  const std::lock_guard lock(mutex_);
  return hellos_;
}

std::string FakeCoordinator::put(const std::string& bytes) {
  const std::lock_guard lock(mutex_);
  return artifacts_.emplace(sha256_hex(bytes), bytes).first->first;
}

std::string FakeCoordinator::artifact(const std::string& sha256) {
  const std::lock_guard lock(mutex_);
  return artifacts_.count(sha256) > 0 ? artifacts_[sha256] : std::string("absent");
}

void FakeCoordinator::took(const std::shared_ptr<net::Connection>& connection, wire::Envelope& envelope) {
  const std::lock_guard lock(mutex_);
  if (envelope.has_hello()) {
    hello_ = envelope.hello();
    ++hellos_;
    welcome(*connection);
  }
  artifact_message(*connection, envelope);
  acknowledge(*connection, envelope);
  received_.push_back(std::move(envelope));
  changed_.notify_all();
}

void FakeCoordinator::welcome(net::Connection& connection) {
  wire::Envelope answer;
  wire::Welcome& welcome = *answer.mutable_welcome();
  welcome.set_protocol(1);
  welcome.set_epoch(1);
  welcome.set_worker(1);
  welcome.set_heartbeat_ms(static_cast<std::uint32_t>(heartbeat_ms_));
  welcome.set_lease_ms(static_cast<std::uint32_t>(lease_ms_));
  welcome.set_orphan_grace_ms(static_cast<std::uint32_t>(grace_ms_));
  for (const wire::Fence& fence : abandon_) *welcome.add_abandon() = fence;
  abandon_.clear();
  connection.send(answer);
}

void FakeCoordinator::artifact_message(net::Connection& connection, const wire::Envelope& envelope) {
  wire::Envelope answer;
  if (envelope.has_artifact_put()) {
    const std::string& hash = envelope.artifact_put().sha256();
    answer.mutable_artifact_have()->set_sha256(hash);
    answer.mutable_artifact_have()->set_committed(artifacts_.count(hash) > 0);
    answer.mutable_artifact_have()->set_offset(uploads_[hash].size());
    connection.send(answer);
  } else if (envelope.has_artifact_chunk()) {
    const wire::ArtifactChunk& chunk = envelope.artifact_chunk();
    std::string& bytes = uploads_[chunk.sha256()];
    if (chunk.offset() == bytes.size()) bytes += chunk.data();
    if (!chunk.last()) return;
    const bool whole = sha256_hex(bytes) == chunk.sha256();
    if (whole) artifacts_[chunk.sha256()] = bytes;
    answer.mutable_artifact_have()->set_sha256(chunk.sha256());
    answer.mutable_artifact_have()->set_committed(whole);
    connection.send(answer);
  } else if (envelope.has_artifact_get()) {
    const wire::ArtifactGet& get = envelope.artifact_get();
    wire::ArtifactChunk& chunk = *answer.mutable_artifact_chunk();
    chunk.set_sha256(get.sha256());
    chunk.set_offset(get.offset());
    const auto found = artifacts_.find(get.sha256());
    if (found == artifacts_.end())
      chunk.set_error("there is no such artifact");
    else
      chunk.set_data(found->second.substr(get.offset()));
    chunk.set_last(true);
    connection.send(answer);
  }
}

void FakeCoordinator::acknowledge(net::Connection& connection, const wire::Envelope& envelope) {
  wire::Envelope answer;
  if (envelope.has_heartbeat() && answer_heartbeats_) {
    answer.mutable_heartbeat_ack()->set_number(envelope.heartbeat().number());
    connection.send(answer);
  }
  if (envelope.has_metrics()) {
    const wire::MetricBatch& batch = envelope.metrics();
    wire::MetricAck& ack = *answer.mutable_metric_ack();
    ack.set_job(batch.fence().job());
    ack.set_generation(batch.fence().generation());
    ack.set_attempt(batch.fence().attempt());
    ack.set_last_sequence(batch.first_sequence() + static_cast<std::uint64_t>(batch.points_size()) - 1);
    connection.send(answer);
  }
  if (envelope.has_log()) {
    wire::LogAck& ack = *answer.mutable_log_ack();
    ack.set_job(envelope.log().fence().job());
    ack.set_generation(envelope.log().fence().generation());
    ack.set_attempt(envelope.log().fence().attempt());
    ack.set_offset(envelope.log().offset() + envelope.log().text().size());
    connection.send(answer);
  }
  if (!answer_items_) return;
  for (const wire::Item& item : envelope.items().items()) {
    wire::ItemAck& ack = *answer.mutable_item_ack();
    ack.set_job(item.fence().job());
    ack.set_generation(item.fence().generation());
    ack.set_attempt(item.fence().attempt());
    ack.set_sequence(item.sequence());
    connection.send(answer);
  }
}

}  // namespace fathom::worker
