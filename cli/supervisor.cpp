#include "cli/supervisor.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <nlohmann/json.hpp>

#include "cli/client.hpp"
#include "cli/process.hpp"
#include "common/files.hpp"
#include "common/net/endpoint.hpp"

namespace fathom::cli {

namespace {

constexpr Millis kStartPatience{120'000};  // LibTorch and the model may come from a cold disk
constexpr Millis kHealthy{10'000};         // a child that lived so long starts again at once
constexpr Millis kMaxBackoff{10'000};
constexpr Millis kRound{50};

TimePoint now() { return SystemClock().now(); }

// Waits for SIGTERM or SIGINT, at most one round. True: one came.
bool told_to_end() {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  ::sigaddset(&wanted, SIGTERM);
  ::sigaddset(&wanted, SIGINT);
  const timespec patience{0, kRound.count() * 1'000'000};
  return ::sigtimedwait(&wanted, nullptr, &patience) > 0;
}

void block_signals() {
  sigset_t blocked;
  ::sigemptyset(&blocked);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) ::sigaddset(&blocked, signal);
  ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
}

}  // namespace

Supervisor::Supervisor(Context context, UpOptions options, Announce announce)
    : context_(std::move(context)), options_(std::move(options)), announce_(std::move(announce)) {
  coordinator_.name = "fathom-coordinator";
  coordinator_.log = (context_.state / "up-coordinator.log").string();
  coordinator_.arguments = {(context_.programs / "fathom-coordinator").string(), "--state", context_.state.string(),
                            "--listen", fmt::format("127.0.0.1:{}", options_.port)};
  worker_.name = "fathom-worker";
  worker_.log = (context_.state / "up-worker.log").string();
  info_.pid = ::getpid();
  info_.root = options_.root;
}

Supervisor::~Supervisor() {
  if (lock_ >= 0) ::close(lock_);
}

Status Supervisor::take_lock() {
  FATHOM_TRY(make_folders(context_.state.string(), 0700));
  const std::string path = up_lock_file(context_).string();
  lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0) return system_error(errno, "open", path);
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    return Error{Errc::already_exists, fmt::format("fathom is already running for {} (pid {})", context_.state.string(),
                                                   lock_holder(context_))};
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock_, 0) != 0 || ::pwrite(lock_, pid.data(), pid.size(), 0) < 0)
    return system_error(errno, "write", path);
  return success();
}

Status Supervisor::start(Child& child) {
  rotate_log(child.log);
  FATHOM_ASSIGN(child.pid, start_process(child.arguments, child.log));
  child.started = now();
  spdlog::info("started program={} pid={}", child.name, child.pid);
  return success();
}

void Supervisor::fail(const Error& error) {
  failed_ = true;
  if (announced_) return;
  announced_ = true;
  announce_(error);
}

// Takes note of children that have ended. Before everything runs, an end is a failure to start.
void Supervisor::reap() {
  for (Child* child : {&coordinator_, &worker_}) {
    int status = 0;
    if (child->pid <= 0 || ::waitpid(child->pid, &status, WNOHANG) != child->pid) continue;
    child->pid = 0;
    const std::string what = describe_exit(status);
    if (!announced_) {
      const std::string words = last_words(child->log);
      return fail({Errc::failed_precondition, fmt::format("{} {}{}{} (log: {})", child->name, what,
                                                          words.empty() ? "" : ": ", words, child->log)});
    }
    if (now() - child->started > kHealthy) child->backoff = Millis{200};
    child->next = now() + child->backoff;
    spdlog::warn("program ended program={} how=\"{}\" again_in_ms={}", child->name, what, child->backoff.count());
    child->backoff = std::min(child->backoff * 2, kMaxBackoff);
  }
}

void Supervisor::restart_due() {
  for (Child* child : {&coordinator_, &worker_}) {
    if (!announced_ || failed_ || child->pid > 0 || now() < child->next) continue;
    if (const auto started = start(*child); !started) {
      spdlog::error("cannot start program={} why=\"{}\"", child->name, started.error().message);
      child->next = now() + kMaxBackoff;
    }
  }
}

// One step on the way up: the coordinator answers, then the worker has joined.
void Supervisor::advance() {
  if (announced_) return;
  if (now() > deadline_) {
    const Child& late = alive(worker_) ? worker_ : coordinator_;
    return fail({Errc::unavailable, fmt::format("{} is not ready after {} s (log: {})", late.name,
                                                kStartPatience.count() / 1000, late.log)});
  }
  if (!alive(worker_)) return coordinator_answers();
  worker_joined();
}

void Supervisor::coordinator_answers() {
  auto client = Client::open(context_, Millis{2000});
  if (!client) return;  // its files are not there yet
  if (const auto health = client->get("/healthz"); !health) return;
  const auto where = contact(context_);
  if (!where) return fail(where.error());
  info_.address = where->address;
  // From now on this port is kept, so that the worker and open dashboards find a restarted coordinator again.
  coordinator_.arguments.back() = where->address;
  auto forwarder = Forwarder::start(*where, options_.dashboard_port);
  if (!forwarder) return fail(forwarder.error());
  forwarder_ = std::move(forwarder).value();
  info_.dashboard_port = forwarder_->port();
  worker_.arguments = {(context_.programs / "fathom-worker").string(),
                       "--coordinator",
                       where->address,
                       "--join-token",
                       join_token_file(context_).string(),
                       "--ca",
                       where->ca_file,
                       "--state",
                       (context_.state / "worker").string(),
                       "--root",
                       options_.root,
                       "--devices",
                       fmt::format("{}", fmt::join(options_.devices, ","))};
  if (const auto started = start(worker_); !started) fail(started.error());
}

void Supervisor::worker_joined() {
  auto client = Client::open(context_, Millis{2000});
  if (!client) return;
  const auto workers = client->items("/api/v1/workers");
  if (!workers) return;
  const bool ready = std::any_of(workers->begin(), workers->end(), [](const auto& worker) {
    return worker.is_object() && worker.value("state", "") == "ready";
  });
  if (!ready) return;
  if (const auto written = write_info(); !written) return fail(written.error());
  announced_ = true;
  spdlog::info("ready address={} dashboard_port={}", info_.address, info_.dashboard_port);
  announce_(info_);
}

Status Supervisor::write_info() const {
  const nlohmann::ordered_json json = {
      {"pid", info_.pid}, {"address", info_.address}, {"root", info_.root}, {"dashboard_port", info_.dashboard_port}};
  return write_file_atomic(up_info_file(context_).string(), json.dump() + "\n", 0600);
}

void Supervisor::stop(Child& child, Millis patience) {
  if (child.pid <= 0) return;
  ::kill(child.pid, SIGTERM);
  const TimePoint limit = now() + patience;
  while (::waitpid(child.pid, nullptr, WNOHANG) == 0) {
    if (now() > limit) {
      spdlog::warn("does not end, killed program={}", child.name);
      ::kill(child.pid, SIGKILL);
      ::waitpid(child.pid, nullptr, 0);
      break;
    }
    std::this_thread::sleep_for(Millis{10});
  }
  child.pid = 0;
}

int Supervisor::run() {
  block_signals();
  if (const auto locked = take_lock(); !locked) {
    announced_ = true;
    announce_(locked.error());
    return 1;
  }
  ::unlink(address_file(context_).c_str());  // of an earlier run: must not be taken for this one's
  ::unlink(up_info_file(context_).c_str());
  deadline_ = now() + kStartPatience;
  if (const auto started = start(coordinator_); !started) fail(started.error());
  while (!failed_ && !told_to_end()) {
    reap();
    if (!failed_) advance();
    restart_due();
  }
  // The worker first: it hands its checkpoints to a coordinator that still listens.
  stop(worker_, Millis{20'000});
  forwarder_.reset();
  stop(coordinator_, Millis{10'000});
  ::unlink(up_info_file(context_).c_str());
  spdlog::info("ended");
  return failed_ ? 1 : 0;
}

}  // namespace fathom::cli
