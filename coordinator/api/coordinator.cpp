#include "coordinator/api/coordinator.hpp"
#include "coordinator/api/audit_log.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <future>
#include <optional>
#include <thread>
#include <utility>

#include "common/free_memory.hpp"
#include "common/net/listener.hpp"
#include "common/net/stream.hpp"
#include "common/thread_name.hpp"
#include "coordinator/api/artifact_keeper.hpp"
#include "coordinator/api/event_hub.hpp"
#include "coordinator/api/handlers.hpp"
#include "coordinator/api/routes.hpp"
#include "coordinator/api/snapshotter.hpp"
#include "coordinator/api/state_folder.hpp"
#include "coordinator/api/worker_registry.hpp"
#include "coordinator/api/worker_session.hpp"
#include "coordinator/artifacts/artifact_store.hpp"
#include "coordinator/notify/notifier.hpp"
#include "coordinator/store/log_store.hpp"
#include "coordinator/store/metric_store.hpp"
#include "coordinator/store/read_model.hpp"
#include "coordinator/store/sweep_shelf.hpp"
#include "coordinator/telemetry/telemetry.hpp"

namespace fathom::api {

namespace asio = boost::asio;
using Guard = asio::executor_work_guard<asio::io_context::executor_type>;

namespace {

// TLS and frames: of the threads that carry connections so many are free of handlers at any time.
constexpr std::uint32_t kNetworkThreads = 2;
constexpr std::size_t kManyJobs = 10'000;  // of a submit after which memory is given back

}  // namespace

// Members in the order in which they are made; destruction the other way round ends callers before what they call.
class Coordinator::Impl {
 public:
  Impl(const coordinator::Settings& settings, std::string version, std::function<void(const Error&)> fatal)
      : settings_(settings), version_(std::move(version)), fatal_(std::move(fatal)) {}
  ~Impl() { stop(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status start() {
    FATHOM_ASSIGN(StateFolder folder, StateFolder::open(state_path(), settings_.hosts));
    folder_.emplace(std::move(folder));
    FATHOM_ASSIGN(const net::Endpoint at, net::parse_endpoint(settings_.listen));
    FATHOM_TRY(open_stores());
    FATHOM_TRY(open_notifier());
    open_read_side();
    make_services(at);
    // The port before the log: a coordinator that cannot serve opens no new epoch. Nobody is answered before run().
    FATHOM_TRY(listen(at));
    FATHOM_TRY(begin());
    replayed_ = true;
    run();
    handlers_->post([this] { list_artifacts(); });
    handlers_->post([] { return_free_memory(); });  // what a snapshot or a log was read with
    make_snapshotter();
    return folder_->write_address(listener_->endpoint());
  }

  void stop() {
    if (listener_) listener_->stop();
    if (!threads_.empty()) {
      auto drained = std::make_shared<std::promise<void>>();
      runtime_->drain([drained] { drained->set_value(); });
      if (drained->get_future().wait_for(std::chrono::seconds(5)) != std::future_status::ready) {
        spdlog::error("not everything decided became durable in time; it was not acknowledged either");
      }
    }
    for (asio::io_context* io : {&core_io_, &io_}) io->stop();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    notifier_.reset();
    snapshotting_ = false;
    snapshotter_.reset();
  }

  [[nodiscard]] const net::Endpoint& endpoint() const { return listener_->endpoint(); }
  [[nodiscard]] const std::vector<Route>& routes() const { return router_->routes(); }

 private:
  [[nodiscard]] std::string state_path() const {
    return settings_.state.empty() ? default_state_folder() : settings_.state;
  }

  void on_fatal(const Error& error) {
    spdlog::critical("the store failed, nothing is acknowledged any more error=\"{}\"", error.message);
    if (fatal_) fatal_(error);
  }

  Status open_stores() {
    handlers_.emplace(io_, settings_.http_threads);
    FATHOM_ASSIGN(artifacts_, artifacts::open_artifact_store(folder_->inner("artifacts")));
    keeper_.emplace(*artifacts_, clock_);
    keeper_->watch_orphans();
    Runtime::Options runtime;
    runtime.core.lease = settings_.lease;
    runtime.version = version_;
    runtime_.emplace(core_io_, clock_, runtime, runtime_hooks());
    store::SqliteEventStoreOptions options;
    options.reserve_bytes = settings_.disk_reserve.value;
    FATHOM_ASSIGN(events_, store::open_event_store(folder_->inner("events.db"), event_hooks(), options));
    FATHOM_ASSIGN(tokens_, TokenStore::open(folder_->inner("tokens.json"), folder_->admin_token(), clock_));
    FATHOM_ASSIGN(registry_, WorkerRegistry::open({folder_->inner("workers.json"), folder_->join_token_file(),
                                                   folder_->identity(), settings_.worker_certificate},
                                                  clock_));
    audit_.emplace(folder_->inner("audit.jsonl"), clock_);
    logs_.emplace(folder_->inner("logs"), store::LogLimits{settings_.job_log.value, 4});
    FATHOM_ASSIGN(metrics_, store::open_metric_store(folder_->inner("metrics.db"), metric_hooks()));
    const auto plans = [this](std::uint64_t seq) -> core::PlanPtr {
      auto plan = known_plan(seq);
      return plan ? *plan : core::PlanPtr();
    };
    FATHOM_ASSIGN(read_, store::open_read_model(folder_->inner("read.db"), *events_, plans));
    return success();
  }

  Status open_notifier() {
    FATHOM_ASSIGN(auto sender, notify::WebhookSender::open({settings_.notify_private, settings_.notify_ca}));
    notify::Notifier::Options options;
    options.any_address = settings_.notify_private;
    options.variables = settings_.notify_variables;
    options.first_pause = settings_.notify_pause;
    options.give_up = settings_.notify_give_up;
    const auto settle = [this](std::uint64_t notice, bool delivered, const std::string& why) {
      telemetry_.notified(delivered);
      runtime_->apply(core::SettleNotice{notice, delivered, why}, {});
    };
    notifier_.emplace(std::move(options), std::move(sender), clock_, settle);
    return success();
  }

  Result<std::shared_ptr<core::Shelf>> open_shelf() { return store::open_sweep_shelf(folder_->inner(""), *events_); }

  // Of states that are there for a moment.
  std::shared_ptr<core::Shelf> another_shelf() {
    auto shelf = open_shelf();
    return shelf ? std::move(*shelf) : nullptr;
  }

  Status begin() {
    store::SnapshotFiles files(folder_->inner("snapshots"));
    FATHOM_ASSIGN(const std::shared_ptr<core::Shelf> shelf, open_shelf());
    FATHOM_ASSIGN(std::optional<Restored> restored, restore_newest(files, *events_, shelf));
    if (!restored) {
      core::State empty;
      empty.sweeps.use(shelf);
      return runtime_->start(*events_, std::move(empty));
    }
    keeper_->restore(restored->final_files);
    snapshot_ = restored->state.seq;
    return runtime_->start(*events_, std::move(restored->state));
  }

  void list_artifacts() {
    const auto all = artifacts_->list();
    if (!all) return spdlog::warn("artifacts cannot be listed error=\"{}\"", all.error().message);
    keeper_->found(*all);
  }

  // The strand has the plan of every sweep that is in memory; it is asked, so that no second copy is made. Not before
  // run().
  Result<core::PlanPtr> known_plan(std::uint64_t seq) {
    auto plan = std::make_shared<std::promise<core::PlanPtr>>();
    auto given = plan->get_future();
    runtime_->inspect([plan, seq](const core::State& state) {
      const core::Sweep* found = state.sweeps.submitted_by(seq);
      plan->set_value(found == nullptr ? nullptr : found->plan);
    });
    while (given.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready) {
      if (core_io_.stopped()) return Error{Errc::unavailable, "the coordinator is stopping"};
    }
    if (core::PlanPtr found = given.get()) return found;
    return store::plan_of(*events_, seq);
  }

  void make_snapshotter() {
    snapshotter_.emplace(
        store::SnapshotFiles(folder_->inner("snapshots")), *events_,
        [this](std::uint64_t seq) { return known_plan(seq); }, snapshot_,
        SnapshotterOptions{settings_.snapshot_every, version_, [this] { return another_shelf(); }});
    snapshotting_ = true;
  }

  Runtime::Hooks runtime_hooks() {
    Runtime::Hooks hooks;
    hooks.fatal = [this](const Error& error) { on_fatal(error); };
    hooks.durable = [this](std::uint64_t seq) {
      durable_ = seq;
      read_->notify(seq);
      // Who watches waits for an end: the tables do not take their time with it.
      if (ended_ > 0 && seq >= ended_) (void)read_->wait_for(std::exchange(ended_, 0), Millis{0});
      if (snapshotting_) snapshotter_->notify(seq);
    };
    hooks.event = [this](const event::Event& event) {
      keeper_->observe(event);
      if (replayed_) count(event);
      if (replayed_ && event.has_sweep_ended()) ended_ = event.seq();
    };
    hooks.release_artifact = [this](const std::string& sha256) { keeper_->release(sha256); };
    hooks.background = [this](std::function<void()> work) { handlers_->post(std::move(work)); };
    hooks.notice = [this](const core::SendNotice& notice) { notifier_->send(notice); };
    hooks.tick = [this](const core::State& state) {
      const auto in_use = [&](const std::string& sha256) { return state.checkpoint_uses.contains(sha256); };
      keeper_->remove_due(in_use);
      // Only of a state that no crash can take back.
      if (state.seq == durable_) keeper_->remove_orphans(state.leases, in_use);
      hub_->flush();
    };
    return hooks;
  }

  void count(const event::Event& event) {
    if (event.has_lease_expired()) telemetry_.lease_expired();
    if (event.has_job_reused()) telemetry_.result_reused();
    if (event.job() != 0 && core::is_terminal(static_cast<core::Phase>(event.phase()))) {
      telemetry_.job_ended(core::name_of(static_cast<core::Phase>(event.phase())));
    }
  }

  store::EventStoreHooks event_hooks() {
    store::EventStoreHooks hooks;
    hooks.executor = runtime_->executor();
    hooks.on_fatal = [this](const Error& error) { on_fatal(error); };
    hooks.on_health = [](const Status& status) {
      if (status) {
        spdlog::info("the disk has space again");
      } else {
        spdlog::error("disk full: new sweeps are refused until there is space error=\"{}\"", status.error().message);
      }
    };
    hooks.on_commit = [this](const store::CommitStats& stats) {
      telemetry_.committed(stats.events, stats.bytes, stats.seconds);
    };
    return hooks;
  }

  store::MetricStoreHooks metric_hooks() {
    store::MetricStoreHooks hooks;
    hooks.on_fatal = [this](const Error& error) { on_fatal(error); };
    hooks.on_points = [this](const std::vector<JobNumber>& jobs) {
      if (auto hub = hub_) hub->points(jobs);
    };
    return hooks;
  }

  void open_read_side() {
    hub_ = std::make_shared<EventHub>(*read_);
    read_->subscribe([hub = hub_](const store::Changes& changes) {
      hub->changed(changes);
      // Their file was read, and their rows are written: both needed much for a moment.
      if (changes.submitted >= kManyJobs) return_free_memory();
    });
    read_->notify(events_->last_durable());
  }

  void make_services(const net::Endpoint& at) {
    std::vector<std::string> hosts = settings_.hosts;
    hosts.push_back(at.host);
    const auto pool = [this](std::function<void()> work) { handlers_->post(std::move(work)); };
    const auto here = [this](std::function<void()> work) { handlers_->here(std::move(work)); };
    auth_.emplace(*tokens_, hosts, clock_);
    services_.emplace(Services{*runtime_, *events_, *read_, *metrics_, *logs_, *artifacts_, *auth_, *tokens_,
                               *registry_, hub_, telemetry_, pool, http_sessions_, version_, settings_.jobs,
                               folder_->inner(""), *notifier_});
    router_ = std::make_shared<Router>(*auth_, make_routes(*services_), clock_, here, router_hooks());
    workers_.emplace(WorkerServices{*runtime_, *artifacts_, *keeper_, *metrics_, *logs_, telemetry_, *registry_,
                                    worker_failures_, [this](const AuditEntry& entry) { audit_->write(entry); },
                                    settings_.heartbeat, settings_.lease, settings_.orphan_grace});
  }

  RouterHooks router_hooks() {
    RouterHooks hooks;
    hooks.served = [this](const Served& served) {
      telemetry_.http(served.method, served.pattern, served.status, served.seconds);
    };
    hooks.audited = [this](AuditEntry entry, int status) {
      entry.status = status;
      audit_->write(entry);
    };
    return hooks;
  }

  Status listen(const net::Endpoint& at) {
    FATHOM_ASSIGN(net::TlsContext tls, net::server_context(folder_->identity()));
    HttpLimits limits;
    limits.body_bytes = settings_.body.value;
    limits.sessions = settings_.connections;
    limits.header_time = settings_.patience;
    limits.body_time = limits.write_time = settings_.patience * 3;
    const auto take = [this, limits](std::unique_ptr<net::TlsStream> stream, const std::string& protocol) {
      if (protocol == net::kAlpnWorker) {
        serve_worker(net::adopt(std::move(stream), worker_limits(settings_.heartbeat, settings_.patience)), *workers_);
      } else {
        serve_http(std::move(stream), router_, limits, http_sessions_);
      }
    };
    FATHOM_ASSIGN(listener_, net::Listener::open(io_, at, std::move(tls), take,
                                                 [this](const std::string& peer, const std::string& why) {
                                                   refused_certificate(*workers_, peer, why);
                                                 }));
    return success();
  }

  // The core has a thread to itself, but for who waits for its decision anyhow: neither a slow query nor a slow disk of
  // a download delays one.
  void run() {
    spawn("core", core_io_, 1);
    spawn("network", io_, kNetworkThreads + settings_.http_threads);
  }

  void spawn(const char* name, asio::io_context& io, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      threads_.emplace_back([this, name, &io] {
        name_thread(name);
        while (!io.stopped()) {
          try {
            io.run();
          } catch (const std::exception& e) {
            // A bug of the core leaves a state that nobody knows: the log is read again by a new process.
            on_fatal({Errc::internal, e.what()});
          }
        }
      });
    }
  }

  const coordinator::Settings settings_;
  const std::string version_;
  const std::function<void(const Error&)> fatal_;
  SystemClock clock_;
  Telemetry telemetry_;
  const std::shared_ptr<std::atomic<std::size_t>> http_sessions_ = std::make_shared<std::atomic<std::size_t>>(0);
  asio::io_context io_;       // connections, and handlers, which may block
  asio::io_context core_io_;  // the core's strand
  std::array<Guard, 2> guards_ = {asio::make_work_guard(io_), asio::make_work_guard(core_io_)};
  std::optional<StateFolder> folder_;
  std::unique_ptr<artifacts::ArtifactStore> artifacts_;
  std::optional<ArtifactKeeper> keeper_;
  std::optional<Handlers> handlers_;
  std::atomic<std::uint64_t> durable_{0};  // seq of the last event that is
  std::optional<Runtime> runtime_;
  std::optional<notify::Notifier> notifier_;
  std::unique_ptr<store::EventStore> events_;
  std::optional<store::LogStore> logs_;
  std::shared_ptr<EventHub> hub_;  // told by the thread of metrics_ until that one has ended
  std::unique_ptr<store::MetricStore> metrics_;
  std::unique_ptr<store::ReadModel> read_;
  bool replayed_ = false;
  std::uint64_t ended_ = 0;     // the last end of a sweep that is not durable yet
  std::uint64_t snapshot_ = 0;  // the event that the newest snapshot was made after
  std::optional<Snapshotter> snapshotter_;
  std::atomic<bool> snapshotting_ = false;
  std::unique_ptr<TokenStore> tokens_;
  std::unique_ptr<WorkerRegistry> registry_;
  FailureLimit worker_failures_{clock_};
  std::optional<AuditLog> audit_;
  std::optional<Auth> auth_;
  std::optional<Services> services_;
  std::shared_ptr<Router> router_;
  std::optional<WorkerServices> workers_;
  std::unique_ptr<net::Listener> listener_;
  std::vector<std::thread> threads_;
};

Coordinator::Coordinator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Coordinator::~Coordinator() = default;

Result<std::unique_ptr<Coordinator>> Coordinator::start(const coordinator::Settings& settings,
                                                        const std::string& version,
                                                        std::function<void(const Error&)> fatal) {
  auto impl = std::make_unique<Impl>(settings, version, std::move(fatal));
  FATHOM_TRY(impl->start());
  return std::unique_ptr<Coordinator>(new Coordinator(std::move(impl)));
}

const net::Endpoint& Coordinator::endpoint() const { return impl_->endpoint(); }
const std::vector<Route>& Coordinator::routes() const { return impl_->routes(); }
void Coordinator::stop() { impl_->stop(); }

}  // namespace fathom::api
