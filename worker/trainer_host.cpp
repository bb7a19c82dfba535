#include "worker/trainer_host.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "common/protocol/fences.hpp"
#include "common/protocol/wire.pb.h"
#include "worker/attempt.hpp"
#include "worker/trainer_process.hpp"

namespace fathom::worker {
namespace {

constexpr Millis kWatch(500);
constexpr Millis kSteady(60'000);  // a trainer that lived so long has earned the first pause again
constexpr int kFailedStarts = 3;   // then waiting jobs are told that there is no trainer

bool is_last(const wire::Item& item) { return item.has_finished() || item.has_failed() || item.has_stopped(); }

}  // namespace

TrainerHost::TrainerHost(Loop& loop, const Options& options, const StartTrainer& start_trainer, DeviceSpec device,
                         std::string output, Callbacks callbacks)
    : loop_(loop),
      options_(options),
      start_trainer_(start_trainer),
      device_(std::move(device)),
      output_(std::move(output)),
      callbacks_(std::move(callbacks)),
      pause_(options.trainer_restart_first) {}

TrainerHost::~TrainerHost() = default;

void TrainerHost::start() {
  if (state_ == State::gone) state_ = State::down;
  if (state_ == State::leaving) again_ = true;
  spawn();
}

void TrainerHost::spawn() {
  if (state_ != State::down) return;
  std::string kind = device_.kind == "cpu" ? "cpu" : device_.name;
  std::ranges::replace(kind, '+', ',');
  TrainerCommand command{options_.trainer,
                         {"--device", kind, "--threads", fmt::format("{}", device_.threads), "--root", options_.root,
                          "--engine", options_.engine},
                         output_,
                         {}};
  for (const std::string& folder : options_.links) {
    command.arguments.insert(command.arguments.end(), {"--links", folder});
  }
  if (device_.ranks > 1)
    command.arguments.insert(command.arguments.end(), {"--ranks", fmt::format("{}", device_.ranks)});
  const std::uint64_t life = ++life_;
  Trainer::Callbacks callbacks;
  callbacks.on_envelope = [this, life](std::shared_ptr<wire::Envelope> envelope) {
    loop_.post([this, life, envelope = std::move(envelope)] { receive(life, *envelope); });
  };
  callbacks.on_exit = [this, life](int status) { loop_.post([this, life, status] { exited(life, status); }); };
  oom_kills_ = count_oom_kills();
  auto process = start_trainer_(command, std::move(callbacks));
  if (!process) {
    start_failed(process.error().message);
    return spawn_later();
  }
  process_ = std::move(process).value();
  state_ = State::starting;
  steps_ = 0;
  killed_because_.clear();
  overdue_ = false;
  started_ = heard_ = progressed_ = loop_.now();
  spdlog::info("trainer started device={} pid={}", device_.name, process_->pid());
  loop_.post_after(kWatch, [this, life] { watch(life); });
}

void TrainerHost::spawn_later() {
  const Millis wait = pause_;
  pause_ = std::min(pause_ * 2, options_.trainer_restart_most);
  loop_.post_after(wait, [this] { spawn(); });
}

void TrainerHost::run(wire::TrainerJob& job) {
  jobs_.insert(attempt_key(from_wire(job.assign().fence())));
  if (state_ == State::up && jobs_.size() == 1) progressed_ = loop_.now();
  waiting_.push_back(std::make_unique<wire::TrainerJob>(std::move(job)));
  feed();
}

// What waits, as far as there are slots. A trainer that is not up takes nothing yet.
void TrainerHost::feed() {
  if (state_ != State::up) return;
  for (std::size_t given = jobs_.size() - waiting_.size(); !waiting_.empty() && given < device_.slots; ++given) {
    wire::Envelope envelope;
    envelope.mutable_trainer_job()->Swap(waiting_.front().get());
    waiting_.pop_front();
    send(std::move(envelope));
  }
}

void TrainerHost::stop(const Fence& fence, const std::string& cause) {
  const auto waits = std::find_if(waiting_.begin(), waiting_.end(), [&](const auto& job) {
    return attempt_key(from_wire(job->assign().fence())) == attempt_key(fence);
  });
  if (waits != waiting_.end()) {
    waiting_.erase(waits);
    jobs_.erase(attempt_key(fence));
    wire::Item item;
    *item.mutable_fence() = to_wire(fence);
    item.mutable_stopped();
    return callbacks_.on_item(item);
  }
  if (state_ != State::up || jobs_.count(attempt_key(fence)) == 0) return;
  wire::Envelope envelope;
  *envelope.mutable_stop()->mutable_fence() = to_wire(fence);
  envelope.mutable_stop()->set_cause(cause);
  send(std::move(envelope));
}

void TrainerHost::acknowledged(const Fence& fence, std::uint64_t sequence) {
  if (state_ != State::up || !verdicts_ || jobs_.count(attempt_key(fence)) == 0) return;
  wire::Envelope envelope;
  wire::ItemAck& ack = *envelope.mutable_item_ack();
  ack.set_job(fence.job.value());
  ack.set_generation(fence.generation);
  ack.set_attempt(fence.attempt);
  ack.set_sequence(sequence);
  send(std::move(envelope));
}

void TrainerHost::drain() {
  waiting_.clear();
  if (state_ == State::down) {
    state_ = State::gone;
    return callbacks_.on_gone();
  }
  if (state_ == State::leaving || state_ == State::gone) return;
  state_ = State::leaving;
  wire::Envelope envelope;
  envelope.mutable_shutdown()->set_checkpoint_first(true);
  send(std::move(envelope));
}

void TrainerHost::kill(const std::string& why) {
  if (!process_) return;
  killed_because_ = why;
  process_->kill();
}

void TrainerHost::send(wire::Envelope envelope) { outgoing_.push_back(std::move(envelope)); }

void TrainerHost::flush() {
  if (outgoing_.empty()) return;
  const auto envelopes = std::exchange(outgoing_, {});
  if (!process_) return;
  if (auto sent = process_->send(envelopes); !sent) kill(sent.error().message);
}

void TrainerHost::receive(std::uint64_t life, wire::Envelope& envelope) {
  if (life != life_) return;
  heard_ = loop_.now();
  switch (envelope.body_case()) {
    case wire::Envelope::kTrainerHello:
      return hello(envelope.trainer_hello());
    case wire::Envelope::kItems:
      for (wire::Item& item : *envelope.mutable_items()->mutable_items()) {
        progressed_ = heard_;
        if (is_last(item)) jobs_.erase(attempt_key(from_wire(item.fence())));
        callbacks_.on_item(item);
      }
      return feed();
    case wire::Envelope::kMetrics:
      return callbacks_.on_metrics(*envelope.mutable_metrics());
    case wire::Envelope::kTrainerLog:
      return callbacks_.on_log(envelope.trainer_log());
    case wire::Envelope::kAlive:
      if (envelope.alive().steps() != steps_ || jobs_.empty()) progressed_ = heard_;
      steps_ = envelope.alive().steps();
      return;
    default:
      spdlog::warn("trainer sent an unexpected message device={} kind={}", device_.name,
                   static_cast<int>(envelope.body_case()));
  }
}

void TrainerHost::hello(const wire::TrainerHello& hello) {
  if (state_ != State::starting) return;
  state_ = State::up;
  verdicts_ = hello.verdicts();
  failed_starts_ = 0;
  progressed_ = heard_;
  feed();
}

void TrainerHost::exited(std::uint64_t life, int wait_status) {
  if (life != life_) return;
  process_.reset();
  outgoing_.clear();
  const State before = std::exchange(state_, State::down);
  if (before == State::leaving && std::exchange(again_, false)) return spawn();
  if (before == State::leaving) {
    jobs_.clear();
    state_ = State::gone;
    return callbacks_.on_gone();
  }
  std::string what = describe_exit(wait_status);
  if (!killed_because_.empty()) what = killed_because_;
  if (before == State::starting) {
    start_failed(fmt::format("it ended before it said hello: {}", what));
  } else {
    const bool killed = WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGKILL && killed_because_.empty();
    if (killed && count_oom_kills() > oom_kills_) what = "oom";
    crash(what);
  }
  if (loop_.now() - started_ > kSteady) pause_ = options_.trainer_restart_first;
  spawn_later();
}

// What waited for a slot is none of the crash's: it begins in the next trainer.
void TrainerHost::crash(const std::string& what) {
  std::set<Fence> kept;
  for (const auto& job : waiting_) kept.insert(attempt_key(from_wire(job->assign().fence())));
  std::vector<Fence> jobs;
  std::ranges::set_difference(jobs_, kept, std::back_inserter(jobs));
  jobs_ = std::move(kept);
  spdlog::error("trainer ended device={} jobs={} why=\"{}\"", device_.name, jobs.size(), what);
  if (jobs.empty()) return;
  TrainerCrash news{std::move(jobs), "crash", {}, overdue_};
  if (what == "oom") {
    news.error_class = "oom";
    news.message = fmt::format(
        "the kernel killed the trainer of {} because memory ran out; use fewer slots or a smaller "
        "batch",
        device_.name);
  } else {
    news.message =
        fmt::format("the trainer of {} ended with {}; its last lines are in {}", device_.name, what, output_);
  }
  callbacks_.on_crash(news);
}

// A trainer that never comes up must not leave its jobs waiting for ever.
void TrainerHost::start_failed(const std::string& why) {
  spdlog::error("trainer did not start device={} why=\"{}\" output={}", device_.name, why, output_);
  if (++failed_starts_ < kFailedStarts || jobs_.empty()) return;
  TrainerCrash news{{jobs_.begin(), jobs_.end()}, "internal", {}, true};
  news.message = fmt::format("the trainer of {} does not start: {}; see {}", device_.name, why, output_);
  jobs_.clear();
  waiting_.clear();
  callbacks_.on_crash(news);
}

void TrainerHost::watch(std::uint64_t life) {
  if (life != life_ || !process_) return;
  if (const std::string why = overdue(loop_.now()); !why.empty()) {
    spdlog::error("trainer is killed device={} why=\"{}\"", device_.name, why);
    overdue_ = true;
    return kill(why);
  }
  loop_.post_after(kWatch, [this, life] { watch(life); });
}

std::string TrainerHost::overdue(TimePoint now) const {
  if (state_ == State::starting && now - started_ > options_.trainer_start) return "no hello in time";
  if (state_ != State::up) return {};
  if (now - heard_ > options_.trainer_silence) return "no sign of life in time";
  if (!jobs_.empty() && now - progressed_ > options_.trainer_progress) return "no progress in time";
  return {};
}

std::uint64_t count_oom_kills(const std::filesystem::path& root) {
  // "0::/path" is this process's group of the one hierarchy of version 2.
  std::ifstream groups(root / "proc/self/cgroup");
  std::string group;
  for (std::string line; std::getline(groups, line);) {
    if (line.starts_with("0::/")) group = line.substr(4);
  }
  // A container sees its own group as the root; without any the machine's counter is what there is.
  for (const auto& file :
       {root / "sys/fs/cgroup" / group / "memory.events", root / "sys/fs/cgroup/memory.events", root / "proc/vmstat"}) {
    std::ifstream events(file);
    std::string name;
    for (std::uint64_t value = 0; events >> name >> value;) {
      if (name == "oom_kill") return value;
    }
  }
  return 0;
}

}  // namespace fathom::worker
