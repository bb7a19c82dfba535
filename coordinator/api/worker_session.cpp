#include "coordinator/api/worker_session.hpp"

#include <spdlog/spdlog.h>

#include "common/protocol/fences.hpp"
#include "common/protocol/frame.hpp"
#include "common/protocol/wire.pb.h"
#include "coordinator/api/artifact_keeper.hpp"
#include "coordinator/api/artifact_transfer.hpp"
#include "coordinator/api/convert.hpp"
#include "coordinator/api/runtime.hpp"
#include "coordinator/api/worker_registry.hpp"
#include "coordinator/artifacts/artifact_store.hpp"
#include "coordinator/store/log_store.hpp"
#include "coordinator/store/metric_store.hpp"
#include "coordinator/telemetry/telemetry.hpp"

namespace fathom::api {
namespace {

// Item batches that are decided but not yet durable; beyond it the worker is not read any more (a full disk).
constexpr std::size_t kOpenBatches = 4096;

// The audit log's form: addresses without the port, so that entries and limits are by machine.
std::string address_of(const std::string& peer) { return peer.substr(0, peer.rfind(':')); }

class WorkerSession final : public WorkerLink, public std::enable_shared_from_this<WorkerSession> {
 public:
  WorkerSession(std::shared_ptr<net::Connection> connection, WorkerServices& services)
      : connection_(std::move(connection)),
        services_(services),
        certificate_(connection_->certificate()),
        transfer_(services.artifacts, services.keeper, *connection_) {}

  void start() {
    net::Connection::Callbacks callbacks;
    callbacks.on_envelope = [self = shared_from_this()](wire::Envelope& envelope) { self->took(envelope); };
    callbacks.on_close = [self = shared_from_this()](const net::CloseReason& reason) { self->closed(reason); };
    callbacks.on_writable = [self = shared_from_this()] { self->transfer_.pump(); };
    connection_->start(std::move(callbacks));
  }

  void deliver(const core::Effect& effect) override {
    wire::Envelope envelope;
    if (const auto* assign = std::get_if<core::SendAssign>(&effect)) {
      idle_ = false;
      services_.telemetry.assigned();
      fill_envelope(*assign, envelope);
    } else if (const auto* stop = std::get_if<core::SendStop>(&effect)) {
      fill_envelope(*stop, envelope);
    } else if (const auto* ack = std::get_if<core::SendAck>(&effect)) {
      fill_envelope(*ack, envelope);
    } else {
      return;
    }
    connection_->send(envelope);
  }

  void dismiss(const std::string& why) override {
    spdlog::warn("worker dismissed worker={} peer={} why=\"{}\"", name_, connection_->peer(), why);
    connection_->close(why);
  }

  void revoked() override {
    connection_->post(
        [self = shared_from_this()] { self->refuse("revoked", "the certificate of this worker was revoked"); });
  }

  void forged(const Fence& fence) override {
    spdlog::warn("worker reports for an attempt that is not its own worker={} job={}", name_, describe(fence));
    audit("report", "/jobs/" + std::to_string(fence.job.value()), 403);
  }

 private:
  enum class Phase { hello, joining, joined, ended };

  void took(wire::Envelope& envelope) {
    if (phase_ == Phase::ended) return;
    if (phase_ == Phase::hello) {
      if (envelope.has_certificate_request()) return enroll(envelope.certificate_request());
      if (!envelope.has_hello()) return refuse("unauthenticated", "the first message must be a hello");
      return hello(envelope.hello());
    }
    if (phase_ == Phase::joining) return dismiss("it spoke before it was welcomed");
    switch (envelope.body_case()) {
      case wire::Envelope::kHeartbeat:
        return heartbeat(envelope.heartbeat());
      case wire::Envelope::kItems:
        return items(envelope.items());
      case wire::Envelope::kMetrics:
        return metrics(envelope.metrics());
      case wire::Envelope::kLog:
        return log(envelope.log());
      case wire::Envelope::kCertificateRequest:
        return renew(envelope.certificate_request());
      case wire::Envelope::kArtifactPut:
        return transfer_.put(envelope.artifact_put());
      case wire::Envelope::kArtifactChunk:
        return transfer_.chunk(envelope.artifact_chunk());
      case wire::Envelope::kArtifactGet:
        return transfer_.get(envelope.artifact_get());
      default:
        return dismiss("it sent a message that workers do not send");
    }
  }

  void refuse(const std::string& code, const std::string& message) {
    spdlog::warn("worker refused peer={} code={} why=\"{}\"", connection_->peer(), code, message);
    services_.telemetry.refused();
    wire::Envelope envelope;
    envelope.mutable_refused()->set_code(code);
    envelope.mutable_refused()->set_message(message);
    connection_->send(envelope);
    connection_->close("refused: " + message);
    phase_ = Phase::ended;
  }

  void audit(const std::string& what, const std::string& path, int status) const {
    services_.audited({certificate_ ? certificate_->name : std::string(), "worker", address_of(connection_->peer()),
                       what, path, status});
  }

  // Who could not show who it is. An address that fails often is told to wait, as browsers and programs are.
  void refuse_stranger(const std::string& what, const Error& why) {
    audit(what, "/workers", why.code == Errc::permission_denied ? 403 : 401);
    const bool wait = services_.failures.fail(address_of(connection_->peer())).count() > 0;
    if (why.code == Errc::permission_denied) return refuse("revoked", why.message);
    if (wait) return refuse("busy", "too many workers of this address were refused; wait a minute");
    refuse("unauthenticated", why.message);
  }

  void enroll(const wire::CertificateRequest& asked) {
    auto chain = services_.registry.enroll({asked.join_token(), asked.worker_uid(), asked.name(), asked.request()});
    if (!chain) return refuse_stranger("join", chain.error());
    services_.audited({asked.worker_uid(), "worker", address_of(connection_->peer()), "join", "/workers", 201});
    spdlog::info("worker got a certificate uid={} peer={}", asked.worker_uid(), connection_->peer());
    send_certificate(*chain);
    connection_->close("come back with the certificate");
  }

  void renew(const wire::CertificateRequest& asked) {
    const auto chain = services_.registry.renew(*certificate_, asked.request());
    if (!chain) return refuse_stranger("renew", chain.error());
    audit("renew", "/workers", 201);
    send_certificate(*chain);
  }

  void send_certificate(const std::string& chain) {
    wire::Envelope envelope;
    envelope.mutable_certificate_issued()->set_chain(chain);
    connection_->send(envelope);
  }

  // Whether the certificate of this line is in force and `uid` is its own.
  [[nodiscard]] Status identify(const std::string& uid) const {
    if (!certificate_) {
      return Error{Errc::unauthenticated,
                   "a worker needs a certificate: start it with a join token of \"fathom token create "
                   "NAME --role worker\" (and update it, if it knows no certificates)"};
    }
    FATHOM_TRY(services_.registry.check(*certificate_));
    if (uid == certificate_->name) return success();
    return Error{Errc::unauthenticated, "the certificate is another worker's"};
  }

  void hello(const wire::Hello& hello) {
    if (const Status known = identify(hello.worker_uid()); !known) return refuse_stranger("hello", known.error());
    if (hello.protocol() < kProtocolVersion) {
      return refuse("version",
                    "this coordinator speaks protocol " + std::to_string(kProtocolVersion) + "; update the worker");
    }
    auto command = hello_from_wire(hello);
    if (!command) return refuse("version", command.error().message);
    phase_ = Phase::joining;
    known_ = true;
    name_ = hello.name();
    services_.runtime.join(
        shared_from_this(), std::move(*command),
        [self = shared_from_this()](const Result<Applied>& applied) { self->answered_hello(applied); });
  }

  // On the runtime's strand: the welcome is queued before any effect can follow it.
  void answered_hello(const Result<Applied>& applied) {
    if (!applied)
      return connection_->post(
          [self = shared_from_this(), error = applied.error()] { self->refuse("busy", error.message); });
    // Revoked while the hello was decided: nothing was sent to it yet.
    if (const Status known = services_.registry.check(*certificate_); !known) {
      services_.runtime.leave(shared_from_this(), false);
      return connection_->post([self = shared_from_this(), known] { self->refuse_stranger("hello", known.error()); });
    }
    const auto& joined = std::get<core::Joined>(applied->answer);
    wire::Envelope envelope;
    wire::Welcome& welcome = *envelope.mutable_welcome();
    welcome.set_protocol(kProtocolVersion);
    welcome.set_epoch(services_.runtime.epoch());
    welcome.set_worker(joined.worker.value());
    welcome.set_heartbeat_ms(static_cast<std::uint32_t>(services_.heartbeat.count()));
    welcome.set_lease_ms(static_cast<std::uint32_t>(services_.lease.count()));
    welcome.set_orphan_grace_ms(static_cast<std::uint32_t>(services_.orphan_grace.count()));
    for (const Fence& fence : joined.abandon) *welcome.add_abandon() = to_wire(fence);
    // First the phase, then the frame: the worker's answer to the welcome must find the session joined.
    connection_->post([self = shared_from_this(), worker = joined.worker, envelope] {
      self->worker_ = worker;
      self->phase_ = Phase::joined;
    });
    connection_->send(envelope);
    spdlog::info("worker joined worker={} number={} peer={}", name_, joined.worker.value(), connection_->peer());
  }

  void heartbeat(const wire::Heartbeat& heartbeat) {
    wire::Envelope envelope;
    envelope.mutable_heartbeat_ack()->set_number(heartbeat.number());
    connection_->send(envelope);
    idle_ = heartbeat.held_size() == 0;
    services_.runtime.heartbeat(shared_from_this(), heartbeat_from_wire(heartbeat, worker_), heartbeat.wall_ms());
  }

  void items(const wire::ItemBatch& batch) {
    std::vector<ReceivedItem> items;
    items.reserve(static_cast<std::size_t>(batch.items_size()));
    for (const wire::Item& item : batch.items()) {
      auto command = item_from_wire(item, worker_);
      if (!command) return dismiss(command.error().message);
      std::string missing = missing_file(command->what);
      items.push_back({std::move(*command), std::move(missing)});
    }
    services_.telemetry.items(items.size());
    if (++open_batches_ >= kOpenBatches) connection_->hold(true);
    services_.runtime.items(shared_from_this(), std::move(items), [self = shared_from_this()] {
      if (self->open_batches_-- == kOpenBatches) self->connection_->hold(false);
    });
  }

  // The hash of a file that the item names and the store lacks, or has with another size.
  [[nodiscard]] std::string missing_file(const core::Item& item) const {
    for (const core::File& file : files_of(item)) {
      const auto info = services_.artifacts.stat(file.sha256);
      if (!info || info->size != file.size) return file.sha256;
    }
    return {};
  }

  void metrics(const wire::MetricBatch& batch) {
    const Fence fence = from_wire(batch.fence());
    services_.telemetry.points(static_cast<std::size_t>(batch.points_size()));
    const auto acknowledge = [self = shared_from_this(), fence](const Result<std::uint64_t>& sequence) {
      if (!sequence)
        return spdlog::warn("metric points not stored job={} error=\"{}\"", describe(fence), sequence.error().message);
      self->send_metric_ack(fence, *sequence);
    };
    const std::uint64_t last = batch.first_sequence() + static_cast<std::uint64_t>(batch.points_size()) - 1;
    auto stored = std::make_shared<store::MetricBatch>(metrics_from_wire(batch));
    services_.runtime.inspect([self = shared_from_this(), fence, acknowledge, stored, last](const core::State& state) {
      // Points of an attempt that was never given to this worker are forged: acknowledged, so that it forgets them,
      // and dropped.
      if (!self->may_report(state, fence)) {
        self->forged(fence);
        return self->send_metric_ack(fence, last);
      }
      self->services_.metrics.append(std::move(*stored), acknowledge);
    });
  }

  [[nodiscard]] bool may_report(const core::State& state, const Fence& fence) const {
    const core::Job* job = state.job(fence.job);
    if (job == nullptr || fence.generation > job->generation) return false;
    const bool newest = fence.generation == job->generation && fence.attempt == job->attempt;
    if (newest) return job->worker == worker_ && job->lease == fence.lease;
    // An older attempt's spool may still come; who had it is not known any more.
    return fence.generation < job->generation || fence.attempt < job->attempt;
  }

  void send_metric_ack(const Fence& fence, std::uint64_t sequence) {
    wire::Envelope envelope;
    wire::MetricAck& ack = *envelope.mutable_metric_ack();
    ack.set_job(fence.job.value());
    ack.set_generation(fence.generation);
    ack.set_attempt(fence.attempt);
    ack.set_last_sequence(sequence);
    connection_->send(envelope);
  }

  void log(const wire::LogChunk& chunk) {
    const Fence fence = from_wire(chunk.fence());
    services_.runtime.inspect([self = shared_from_this(), fence, chunk](const core::State& state) {
      // As with points: what is forged is acknowledged, so that the worker forgets it, and dropped.
      const bool own = self->may_report(state, fence);
      if (!own) self->forged(fence);
      self->connection_->post([self, fence, chunk, own] { self->store_log(fence, chunk, own); });
    });
  }

  void store_log(const Fence& fence, const wire::LogChunk& chunk, bool own) {
    const auto stored = own ? services_.logs.append(fence, chunk.offset(), chunk.text())
                            : Result<std::uint64_t>(chunk.offset() + chunk.text().size());
    if (!stored)
      return spdlog::warn("log text not stored job={} error=\"{}\"", describe(fence), stored.error().message);
    wire::Envelope envelope;
    wire::LogAck& ack = *envelope.mutable_log_ack();
    ack.set_job(fence.job.value());
    ack.set_generation(fence.generation);
    ack.set_attempt(fence.attempt);
    ack.set_offset(*stored);
    connection_->send(envelope);
  }

  void closed(const net::CloseReason& reason) {
    if (!known_) return;
    spdlog::info("worker disconnected worker={} peer={} why=\"{}\"", name_, connection_->peer(), reason.text);
    services_.runtime.leave(shared_from_this(), reason.clean && idle_);
  }

  const std::shared_ptr<net::Connection> connection_;
  WorkerServices& services_;
  const std::optional<net::PeerCertificate> certificate_;
  ArtifactTransfer transfer_;
  Phase phase_ = Phase::hello;
  bool known_ = false;  // the runtime has heard of this line, and has to learn of its end
  std::string name_;
  WorkerNumber worker_;
  std::atomic<std::size_t> open_batches_{0};
  std::atomic<bool> idle_{false};  // its last heartbeat held nothing, and nothing was assigned since
};

}  // namespace

net::Connection::Limits worker_limits(Millis heartbeat, Millis patience) {
  net::Connection::Limits limits;
  limits.idle = std::max(heartbeat * 5 / 2, Millis{1000});
  limits.first = patience;
  return limits;
}

void refused_certificate(WorkerServices& services, const std::string& peer, const std::string& why) {
  spdlog::warn("worker refused peer={} code=unauthenticated why=\"{}\"", peer, why);
  services.telemetry.refused();
  services.audited({"", "worker", address_of(peer), "hello", "/workers", 401});
  (void)services.failures.fail(address_of(peer));
}

void serve_worker(std::shared_ptr<net::Connection> connection, WorkerServices& services) {
  std::make_shared<WorkerSession>(std::move(connection), services)->start();
}

}  // namespace fathom::api
