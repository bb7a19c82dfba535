#include "tests/sim/sim_coordinator.hpp"

#include <stdlib.h>
#include <boost/asio/io_context.hpp>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/files.hpp"
#include "common/planted.hpp"
#include "common/sha256.hpp"
#include "coordinator/api/artifact_keeper.hpp"
#include "coordinator/api/worker_registry.hpp"
#include "coordinator/api/worker_session.hpp"
#include "coordinator/store/log_store.hpp"
#include "coordinator/store/metric_store.hpp"
#include "coordinator/store/sweep_shelf.hpp"
#include "coordinator/telemetry/telemetry.hpp"
#include "tests/sim/memory_artifacts.hpp"
#include "tests/sim/people.hpp"
#include "tests/sim/sim_worker.hpp"
#include "tests/sim/world.hpp"

namespace fathom::sim {
namespace {

constexpr Millis kTick(100);
constexpr Millis kHeartbeat(3'000);
constexpr std::size_t kMostWorkers = 200;

// Points are counted, not kept; acknowledged after a commit's time, as MetricStore promises.
class CountedMetrics final : public store::MetricStore {
 public:
  CountedMetrics(World& world, const Life& life, std::map<Fence, std::uint64_t>& stored)
      : world_(world), life_(life), stored_(stored) {}
  void append(store::MetricBatch batch, Acknowledge acknowledge) override {
    world_.scheduler.after(world_.random.millis(1, 8), life_, [this, batch, acknowledge = std::move(acknowledge)] {
      std::uint64_t& last = stored_[{batch.job, batch.generation, batch.attempt, LeaseId()}];
      last = std::max(last, batch.first_sequence + batch.points.size() - 1);
      acknowledge(last);
    });
  }
  Result<std::vector<store::Series>> series(JobNumber, const store::SeriesQuery&) override {
    return std::vector<store::Series>{};
  }
  Result<std::vector<store::Curve>> curves(const std::vector<JobNumber>&, const store::SeriesQuery&) override {
    return std::vector<store::Curve>{};
  }

 private:
  World& world_;
  const Life life_;
  std::map<Fence, std::uint64_t>& stored_;
};

net::PeerCertificate certificate_of(std::size_t worker) {
  const std::string uid = worker_uid(worker);
  return {uid, sha256_hex(uid)};
}

// Joining is not simulated: a registry that has issued certificates to all, one for all worlds.
api::WorkerRegistry& known_workers() {
  static const SystemClock clock;
  static const auto registry = [] {
    nlohmann::json workers = nlohmann::json::array();
    for (std::size_t i = 0; i < kMostWorkers; ++i) {
      const net::PeerCertificate shown = certificate_of(i);
      workers.push_back({{"uid", shown.name},
                         {"name", shown.name},
                         {"key", ""},
                         {"certificates", {shown.sha256}},
                         {"expires", 4'000'000'000'000},
                         {"revoked", false}});
    }
    std::string folder = (std::filesystem::temp_directory_path() / "fathom-sim-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no temporary folder");
    const std::string file = folder + "/workers.json";
    const nlohmann::json text = {{"tokens", nlohmann::json::array()}, {"workers", workers}};
    auto opened = write_file_atomic(file, text.dump())
                      ? api::WorkerRegistry::open({file, folder + "/join-token", {}}, clock)
                      : Error{Errc::internal, "no temporary file"};
    std::filesystem::remove_all(folder);
    return std::move(opened).value();
  }();
  return *registry;
}

// The coordinator's end of a line.
class LineConnection final : public net::Connection, public std::enable_shared_from_this<LineConnection> {
 public:
  LineConnection(World& world, Life life, LinePtr line, Millis idle, std::function<void()> pump)
      : world_(world), life_(std::move(life)), line_(std::move(line)), idle_(idle), pump_(std::move(pump)) {}

  void start(Callbacks callbacks) override {
    LineEnd end;
    end.on_envelope = [this, take = std::move(callbacks.on_envelope)](wire::Envelope& envelope) {
      take(envelope);
      pump_();
    };
    end.on_close = [this, tell = std::move(callbacks.on_close)](const net::CloseReason& reason) {
      const auto keep = shared_from_this();
      if (tell) tell(reason);
      pump_();
    };
    heard_from_ = world_.scheduler.now();
    line_->attach(kCoordinator, std::move(end));
    watch();
  }
  bool send(const wire::Envelope& envelope) override { return line_->send(kCoordinator, envelope); }
  void hold(bool held) override { line_->hold(kCoordinator, held); }
  void close(const std::string& text) override { line_->close(kCoordinator, text); }
  void post(std::function<void()> work) override {
    world_.scheduler.after(Millis(0), life_, [pump = pump_, work = std::move(work)] {
      work();
      pump();
    });
  }
  [[nodiscard]] std::size_t queued() const override { return 0; }
  [[nodiscard]] const std::string& peer() const override { return peer_; }
  [[nodiscard]] std::optional<net::PeerCertificate> certificate() const override {
    return certificate_of(line_->worker());
  }

 private:
  // Limits::idle.
  void watch() {
    if (planted(PlantedBug::skip_fence)) return;  // or a late item never arrives: its line is given up before the lease
    world_.scheduler.after(Millis(1000), life_, [self = shared_from_this()] {
      if (!self->line_->open(kCoordinator)) return;
      if (self->world_.scheduler.now() - std::max(self->line_->heard(kCoordinator), self->heard_from_) > self->idle_) {
        return self->line_->close(kCoordinator, "nothing was heard for too long");
      }
      self->watch();
    });
  }

  World& world_;
  const Life life_;
  const LinePtr line_;
  const Millis idle_;
  const std::function<void()> pump_;
  const std::string peer_ = "worker";
  TimePoint heard_from_{};
};

}  // namespace

// Members in the order in which they are made; what may still hold something of the others goes last.
struct SimCoordinator::Process {
  Process(World& world, MemoryArtifacts& files, std::map<Fence, std::uint64_t>& points)
      : keeper(files, world.clock),
        failures(world.clock),
        metrics(world, life, points),
        logs(std::filesystem::temp_directory_path() / "fathom-sim-logs-unused"),
        artifacts(files) {}
  ~Process() { life.end(); }

  Life life;
  boost::asio::io_context io{1};
  api::Telemetry telemetry;
  api::ArtifactKeeper keeper;
  api::FailureLimit failures;
  CountedMetrics metrics;
  store::LogStore logs;  // trainers here log nothing, so it never makes its folder
  MemoryArtifacts& artifacts;
  std::optional<api::Runtime> runtime;
  std::unique_ptr<store::EventStore> events;
  std::optional<api::WorkerServices> services;
  std::vector<LinePtr> lines;
  const core::State* state = nullptr;
  std::uint64_t checked = 0;  // seq up to which invariants were looked at
  std::uint64_t durable = 0;

  void pump() {
    io.restart();
    io.poll();
  }
};

SimCoordinator::SimCoordinator(World& world) : world_(world), artifacts_(std::make_unique<MemoryArtifacts>()) {}

SimCoordinator::~SimCoordinator() {
  // A line and its session hold each other until one end is closed.
  if (process_) {
    for (const LinePtr& line : process_->lines) line->vanish(kCoordinator, false);
  }
  disk.user.end();
  process_.reset();
}

const core::State* SimCoordinator::state() const { return process_ ? process_->state : nullptr; }

bool SimCoordinator::all_durable() const { return state() != nullptr && state()->seq == process_->durable; }

api::Runtime::Hooks SimCoordinator::hooks(Process& process) {
  api::Runtime::Hooks hooks;
  // Not inside the store's or the strand's own call.
  hooks.fatal = [this](const Error& error) {
    world_.scheduler.after(Millis(0), process_ ? process_->life : always_,
                           [this, why = error.message] { die("its store failed: " + why, false, Millis(1500)); });
  };
  hooks.durable = [this, &process](std::uint64_t seq) {
    process.durable = seq;
    world_.checker.durable(seq);
  };
  hooks.event = [this, &process](const event::Event& event) {
    process.keeper.observe(event);
    world_.checker.event(event);
    // Once for each step: the whole step is applied when its first event is told.
    if (process.state == nullptr || process.state->seq == process.checked) return;
    process.checked = process.state->seq;
    world_.checker.state(*process.state);
  };
  hooks.release_artifact = [&process](const std::string& sha256) { process.keeper.release(sha256); };
  hooks.tick = [&process](const core::State& state) {
    const auto in_use = [&](const std::string& sha256) { return state.checkpoint_uses.contains(sha256); };
    process.keeper.remove_due(in_use);
    if (state.seq == process.durable) process.keeper.remove_orphans(state.leases, in_use);
  };
  return hooks;
}

std::unique_ptr<SimCoordinator::Process> SimCoordinator::make_process() {
  auto process = std::make_unique<Process>(world_, *artifacts_, world_.people->stored_points);
  api::Runtime::Options options;
  options.version = "simulated";
  options.tick = Millis(0);
  process->runtime.emplace(process->io, world_.clock, options, hooks(*process));
  store::EventStoreHooks store_hooks;
  Process* const raw = process.get();
  // A moment between a commit and its news, for a crash to fall into.
  store_hooks.executor = [this, raw, last = TimePoint()](std::function<void()> task) mutable {
    last = std::max(last, world_.scheduler.now() + world_.random.millis(0, 1));
    world_.scheduler.at(last, raw->life, [raw, task = std::move(task)] {
      raw->runtime->executor()(task);
      raw->pump();
    });
  };
  store::SqliteEventStoreOptions store_options;
  store_options.reserve_bytes = 0;
  store_options.vfs = kVfs;
  store_options.later = [this, raw](Millis delay, std::function<void()> task) {
    world_.scheduler.after(delay + world_.random.millis(1, 6), raw->life, [raw, task = std::move(task)] {
      task();
      raw->pump();
    });
  };
  mount(disk);
  auto events =
      store::open_event_store(std::filesystem::temp_directory_path() / "fathom-sim.db", store_hooks, store_options);
  if (!events) {
    if (disk.full || disk.broken_sync) return nullptr;  // its supervisor tries again
    world_.complain("the log cannot be opened: " + events.error().message);
    return nullptr;
  }
  process->events = std::move(*events);
  process->services.emplace(api::WorkerServices{
      *process->runtime, process->artifacts, process->keeper, process->metrics, process->logs, process->telemetry,
      known_workers(), process->failures,
      [this](const api::AuditEntry& entry) {
        world_.complain("I2: a worker was taken for a stranger: " + entry.method + " " + entry.path);
      },
      kHeartbeat, Millis(15'000), Millis(60'000)});
  return process;
}

void SimCoordinator::start() {
  if (process_) return;
  disk.user = Life();
  auto process = make_process();
  if (!process) {
    world_.scheduler.after(Millis(2'000), always_, [this] { start(); });
    return;
  }
  world_.checker.restarted();
  process_ = std::move(process);
  // What ended goes soon, and mostly comes back for the next look at everything.
  core::State empty;
  empty.sweeps.use(store::open_sweep_shelf({}, *process_->events).value(), {Millis(2'000), 1'000});
  if (const Status started = process_->runtime->start(*process_->events, std::move(empty)); !started) {
    world_.complain("the log cannot be read: " + started.error().message);
    return;
  }
  process_->runtime->inspect([this](const core::State& state) { process_->state = &state; });
  process_->keeper.watch_orphans();
  world_.scheduler.after(world_.random.millis(1, 2'000), process_->life,
                         [this] { process_->keeper.found(artifacts_->list().value()); });
  process_->pump();
  world_.checker.state(*process_->state);
  world_.network.accept = [this](const LinePtr& line) { accept(line); };
  world_.say("coordinator", "started, epoch " + std::to_string(process_->state->epoch));
  tick(*process_);
}

void SimCoordinator::tick(Process& process) {
  world_.scheduler.after(kTick, process.life, [this, &process] {
    process.runtime->tick();
    process.pump();
    tick(process);
  });
}

void SimCoordinator::accept(const LinePtr& line) {
  Process& process = *process_;
  std::erase_if(process.lines, [](const LinePtr& old) { return !old->open(kCoordinator); });
  process.lines.push_back(line);
  api::serve_worker(
      std::make_shared<LineConnection>(world_, process.life, line, api::worker_limits(kHeartbeat, Millis(30'000)).idle,
                                       [&process] { process.pump(); }),
      *process.services);
}

void SimCoordinator::die(const std::string& why, bool power, Millis down) {
  if (!process_) return;
  world_.say("coordinator", "ends: " + why);
  world_.network.accept = nullptr;
  for (const LinePtr& line : process_->lines) line->vanish(kCoordinator, !power);
  disk.user.end();
  process_.reset();
  if (power) {
    disk.lose_power(world_.random);
    artifacts_->lose_power();
  }
  world_.scheduler.after(down, always_, [this] { start(); });
}

void SimCoordinator::apply(core::Command command, api::Done done) {
  if (!process_) return;
  // As the HTTP side does: nothing new while the disk is full.
  if (std::holds_alternative<core::SubmitSweep>(command)) {
    if (const Status admitted = process_->events->admit(); !admitted) return done(admitted.error());
  }
  process_->runtime->apply(std::move(command), std::move(done));
  process_->pump();
}

void SimCoordinator::check_at_end() {
  if (!process_) return world_.complain("the coordinator is down at the end");
  const Status read = process_->events->load(
      1, [this](const store::EventRecord& record) { return world_.checker.record(record.seq, record.bytes); });
  if (!read) return world_.complain("the log cannot be read at the end: " + read.error().message);
  world_.checker.finish(*process_->state, *artifacts_);
}

}  // namespace fathom::sim
