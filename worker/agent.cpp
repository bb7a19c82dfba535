#include "worker/agent.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/protocol/fences.hpp"
#include "common/protocol/frame.hpp"
#include "common/protocol/wire.pb.h"
#include "worker/file_transfers.hpp"
#include "worker/trainer_process.hpp"

namespace fathom::worker {
namespace {

constexpr Millis kRenewalPause(10'000);  // before a renewal that was not answered is asked for again
constexpr Millis kTick(50);              // how often clocks are looked at; heartbeats keep their own interval

// Acknowledgements name an attempt without its lease.
template <class Ack>
Fence fence_of(const Ack& ack) {
  return {JobNumber(ack.job()), ack.generation(), ack.attempt(), LeaseId()};
}

}  // namespace

Surroundings real_surroundings(const AgentSetup& setup, const StatePaths& state) {
  Surroundings real;
  real.loop = std::make_unique<ThreadLoop>();
  real.make_transfers = [jobs = state.jobs(), cache = state.cache(), limit = setup.options.cache_limit.value,
                         sandbox = setup.sandbox](Loop& loop) {
    return std::make_unique<FileTransfers>(loop, jobs, cache, limit, sandbox);
  };
  real.make_spooler = [folder = state.spool()](Spooler::Durable durable) {
    return std::make_unique<ThreadSpooler>(folder, std::move(durable));
  };
  real.make_uplink = [options = setup.link](Uplink::Callbacks callbacks) {
    return std::make_unique<Link>(options, std::move(callbacks));
  };
  real.start_trainer = [sandbox = setup.sandbox, folder = state.scratch(), prefix = state.prefix().string(),
                        limit = std::to_string(setup.options.prefix_limit.value)](const TrainerCommand& command,
                                                                                  Trainer::Callbacks callbacks) {
    TrainerCommand own = command;
    own.scratch = (folder / std::filesystem::path(command.output).stem()).string();
    own.arguments.insert(own.arguments.end(), {"--prefix-store", prefix, "--prefix-limit", limit});
    return TrainerProcess::start(own, std::move(callbacks), sandbox);
  };
  real.disk_space = [folder = state.spool()] { return space_of(folder); };
  real.wall = [] { return SystemClock().wall(); };
  return real;
}

Agent::Agent(AgentSetup setup, const StatePaths& state, Surroundings surroundings)
    : setup_(std::move(setup)),
      state_(state),
      loop_(std::move(surroundings.loop)),
      transfers_(surroundings.make_transfers(*loop_)),
      disk_space_(std::move(surroundings.disk_space)),
      wall_(std::move(surroundings.wall)),
      room_(setup_.options.disk_reserve.value) {
  JobRunner::Parts parts{*transfers_, std::move(surroundings.make_spooler), std::move(surroundings.start_trainer)};
  runner_ = std::make_unique<JobRunner>(*loop_, setup_.options, state_, setup_.devices, std::move(parts),
                                        [this](const std::string& message) { fatal(message); });
  Uplink::Callbacks callbacks;
  callbacks.on_open = [this](std::uint64_t connection) { loop_->post([this, connection] { opened(connection); }); };
  callbacks.on_envelope = [this](std::uint64_t connection, std::shared_ptr<wire::Envelope> envelope) {
    // File chunks go to the thread that waits for them; they are no decision.
    if (envelope->has_artifact_chunk() || envelope->has_artifact_have()) {
      return transfers_->deliver(std::move(envelope));
    }
    loop_->post([this, connection, envelope = std::move(envelope)] { received(connection, envelope); });
  };
  callbacks.on_close = [this](std::uint64_t connection, const std::string& why) {
    loop_->post([this, connection, why] { lost(connection, why); });
  };
  link_ = surroundings.make_uplink(std::move(callbacks));
}

Agent::~Agent() {
  transfers_->stop();
  link_.reset();
  runner_.reset();
}

int Agent::run() {
  loop_->set_after_batch([this] { flush(); });
  loop_->post([this] {
    runner_->recover();
    runner_->start_trainers();
    link_->start();
    tick();
  });
  loop_->run();
  return exit_code_;
}

void Agent::drain() {
  loop_->post([this] { begin_drain(); });
}

// Why no jobs can be taken now; empty: they can.
std::string Agent::unfit() {
  if (draining_) return "it shuts down";
  const bool full = room_.full();
  const std::string why = room_.look(disk_space_());
  if (room_.full() != full) {
    if (full) {
      spdlog::info("there is room on the disk again, jobs are taken");
    } else {
      transfers_->shrink();  // fetched again when it is needed
      spdlog::warn("no jobs are taken: {}", why);
    }
  }
  return why;
}

void Agent::say_hello(wire::Hello& hello) {
  hello.set_protocol(kProtocolVersion);
  hello.set_version(setup_.version);
  hello.set_worker_uid(state_.uid());
  hello.set_name(setup_.options.name);
  for (const DeviceSpec& device : setup_.devices) {
    wire::Device& entry = *hello.add_devices();
    entry.set_name(device.name);
    entry.set_kind(device.kind);
    entry.set_threads(device.threads);
    entry.set_slots(device.slots);
    entry.set_ahead(setup_.options.run_ahead);
    entry.set_model(setup_.machine.cpu_model);
    entry.set_memory(setup_.machine.memory);
    entry.set_bf16(device.kind != "cpu" || setup_.machine.bf16);
  }
  for (wire::Held& held : runner_->held()) hello.add_held()->Swap(&held);
  hello.set_restarted(!greeted_);
  hello.set_unfit(unfit());
}

void Agent::opened(std::uint64_t connection) {
  connection_ = connection;
  welcomed_ = false;
  asked_ = loop_->now();
  wire::Envelope envelope;
  say_hello(*envelope.mutable_hello());
  link_->send(envelope);
}

void Agent::lost(std::uint64_t connection, const std::string& why) {
  if (connection != connection_) return;
  spdlog::warn("connection lost, connecting again why=\"{}\"", why);
  connection_ = 0;
  welcomed_ = false;
  contact_.lost();
  transfers_->lost();
  if (setup_.credentials && setup_.credentials->expired(SystemClock().wall())) {
    fatal(
        "the certificate of this worker has expired while it was away; start it with a new join token "
        "(fathom token create NAME --role worker)");
  }
}

void Agent::received(std::uint64_t connection, const std::shared_ptr<wire::Envelope>& envelope) {
  if (connection != connection_) return;
  if (envelope->has_welcome()) return welcome(envelope->welcome());
  if (envelope->has_refused()) return refused(envelope->refused().code(), envelope->refused().message());
  if (!welcomed_) return;
  switch (envelope->body_case()) {
    case wire::Envelope::kHeartbeatAck:
      contact_.acknowledged(envelope->heartbeat_ack().number());
      return;
    case wire::Envelope::kCertificateIssued:
      return renewed(envelope->certificate_issued());
    case wire::Envelope::kAssign:
      return runner_->assign(envelope->assign());
    case wire::Envelope::kStop:
      return runner_->stop(from_wire(envelope->stop().fence()), envelope->stop().cause());
    case wire::Envelope::kItemAck:
      return runner_->item_ack(fence_of(envelope->item_ack()), envelope->item_ack().sequence(),
                               envelope->item_ack().late());
    case wire::Envelope::kMetricAck:
      return runner_->metric_ack(fence_of(envelope->metric_ack()), envelope->metric_ack().last_sequence());
    case wire::Envelope::kLogAck:
      return runner_->log_ack(fence_of(envelope->log_ack()), envelope->log_ack().offset());
    default:
      spdlog::warn("unexpected message from the coordinator kind={}", static_cast<int>(envelope->body_case()));
  }
}

void Agent::welcome(const wire::Welcome& welcome) {
  if (welcome.protocol() != kProtocolVersion) {
    return fatal("the coordinator speaks another protocol; use a worker of its version");
  }
  for (const wire::Fence& fence : welcome.abandon()) runner_->abandon(from_wire(fence));
  Contact::Terms terms;
  if (welcome.heartbeat_ms() > 0) terms.heartbeat = Millis(welcome.heartbeat_ms());
  if (welcome.lease_ms() > 0) terms.lease = Millis(welcome.lease_ms());
  if (welcome.orphan_grace_ms() > 0) terms.orphan_grace = Millis(welcome.orphan_grace_ms());
  contact_.welcomed(asked_, terms);
  welcomed_ = greeted_ = true;
  lapse_told_ = false;
  epoch_ = welcome.epoch();
  next_beat_ = loop_->now();
  runner_->rewind();
  transfers_->opened([this](const wire::Envelope& envelope) { return link_->send_bulk(envelope); });
  link_->settled(terms.lease);
  spdlog::info("joined worker={} epoch={} heartbeat_ms={} lease_ms={}", welcome.worker(), epoch_,
               terms.heartbeat.count(), terms.lease.count());
}

void Agent::renew() {
  if (!setup_.credentials || loop_->now() < next_renewal_ || !setup_.credentials->due(SystemClock().wall())) return;
  next_renewal_ = loop_->now() + kRenewalPause;
  auto request = setup_.credentials->request();
  if (!request) return spdlog::error("cannot renew the certificate error=\"{}\"", request.error().message);
  wire::Envelope envelope;
  envelope.mutable_certificate_request()->set_worker_uid(state_.uid());
  envelope.mutable_certificate_request()->set_name(setup_.options.name);
  envelope.mutable_certificate_request()->set_request(*request);
  link_->send(envelope);
}

// The present connection goes on under the old certificate; the next one shows the new one.
void Agent::renewed(const wire::CertificateIssued& issued) {
  if (!setup_.credentials) return;
  if (auto kept = setup_.credentials->accept(issued.chain(), state_.uid()); !kept) {
    return spdlog::error("the new certificate cannot be used error=\"{}\"", kept.error().message);
  }
  auto tls = setup_.credentials->tls(setup_.options.ca);
  if (!tls) return spdlog::error("the new certificate cannot be used error=\"{}\"", tls.error().message);
  link_->use(*tls);
  spdlog::info("certificate renewed");
}

// Only a coordinator that is busy will think otherwise later; but a token may be renewed under a running worker's jobs,
// so the worker keeps trying while it has any.
void Agent::refused(const std::string& code, const std::string& message) {
  spdlog::error("the coordinator refuses this worker code={} message=\"{}\"", code, message);
  if (code == "revoked") {
    if (setup_.credentials) setup_.credentials->discard();
    return fatal("refused by the coordinator: " + message);
  }
  if (code != "busy" && epoch_ == 0) return fatal("refused by the coordinator: " + message);
  link_->drop(connection_, "refused");
}

void Agent::tick() {
  const TimePoint now = loop_->now();
  if (welcomed_ && contact_.half_open(now)) {
    spdlog::warn("no answer to heartbeats for two intervals");
    welcomed_ = false;  // until the link's own news of it
    link_->drop(connection_, "no answer to heartbeats");
  }
  if (!lapse_told_ && contact_.lapsed(now)) {
    lapse_told_ = true;
    spdlog::warn("leases may have ended; jobs go on, the coordinator will judge them");
  }
  if (contact_.orphaned(now)) runner_->give_up_all();
  if (welcomed_ && now >= next_beat_) beat();
  if (welcomed_) renew();
  loop_->post_after(kTick, [this] { tick(); });
}

void Agent::beat() {
  const TimePoint now = loop_->now();
  next_beat_ = std::max(next_beat_ + contact_.terms().heartbeat, now);
  wire::Envelope envelope;
  envelope.mutable_heartbeat()->set_number(contact_.beat(now));
  for (wire::Held& held : runner_->held()) envelope.mutable_heartbeat()->add_held()->Swap(&held);
  envelope.mutable_heartbeat()->set_unfit(unfit());
  envelope.mutable_heartbeat()->set_wall_ms(wall_().time_since_epoch().count());
  link_->send(envelope);
}

void Agent::flush() {
  runner_->tell_trainers();
  if (!welcomed_) return;
  for (const wire::Envelope& envelope : runner_->take()) link_->send(envelope);
}

void Agent::begin_drain() {
  if (draining_) return loop_->stop();
  draining_ = true;
  spdlog::info("draining: trainers write checkpoints, items are delivered");
  runner_->drain();
  end_when_drained(loop_->now() + setup_.options.drain);
}

void Agent::end_when_drained(TimePoint deadline) {
  const bool late = loop_->now() > deadline;
  if (runner_->drained() || late) {
    if (welcomed_) beat();  // what is held now, at best nothing: the coordinator need not wait for leases to end
    spdlog::info(late ? "drained as far as time allowed" : "drained");
    return loop_->stop();
  }
  loop_->post_after(Millis(20), [this, deadline] { end_when_drained(deadline); });
}

void Agent::fatal(const std::string& message) {
  spdlog::critical("{}", message);
  exit_code_ = 1;
  loop_->stop();
}

}  // namespace fathom::worker
