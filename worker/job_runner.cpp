#include "worker/job_runner.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <system_error>

#include "common/crash_point.hpp"
#include "common/protocol/fences.hpp"
#include "common/protocol/wire.pb.h"
#include "worker/job_folder.hpp"

namespace fathom::worker {
namespace {

// Bytes of a spool that nobody needs any more: beyond them it is told what is still needed, sooner when that is
// nothing.
constexpr std::uint64_t kCompactAt = 4u << 20;
constexpr std::uint64_t kForgetAt = 64u << 10;

const char* class_of(Errc code) {
  switch (code) {
    case Errc::resource_exhausted:
      return "disk";
    case Errc::not_found:
    case Errc::corrupt:
      return "data";
    default:
      return "internal";
  }
}

}  // namespace

JobRunner::JobRunner(Loop& loop, const Options& options, const StatePaths& state,
                     const std::vector<DeviceSpec>& devices, Parts parts, std::function<void(const std::string&)> fatal)
    : loop_(loop),
      options_(options),
      state_(state),
      transfers_(parts.transfers),
      start_trainer_(std::move(parts.start_trainer)),
      fatal_(std::move(fatal)),
      spooler_(parts.make_spooler([this](const Fence& fence, std::uint64_t sequence, const Status& status) {
        loop_.post([this, fence, sequence, status] { on_durable(fence, sequence, status); });
      })) {
  for (const DeviceSpec& device : devices) {
    hosts_.push_back(make_host(device, (state_.trainers() / (device.name + ".log")).string()));
  }
}

// Trainers go first: their news must not reach a runner that is half gone.
JobRunner::~JobRunner() {
  hosts_.clear();
  for (const auto& [fence, attempt] : attempts_) *attempt->cancelled = true;
}

std::unique_ptr<TrainerHost> JobRunner::make_host(const DeviceSpec& device, const std::string& output) {
  TrainerHost::Callbacks callbacks;
  callbacks.on_item = [this](wire::Item& item) { on_item(item); };
  callbacks.on_metrics = [this](wire::MetricBatch& batch) { on_metrics(batch); };
  callbacks.on_log = [this](const wire::TrainerLog& log) { on_log(log); };
  callbacks.on_crash = [this](const TrainerCrash& crash) { on_crash(crash); };
  callbacks.on_gone = [this, name = device.name] {
    // A drained trainer has written its checkpoints; what it still had counts as unfinished.
    for (const auto& [fence, attempt] : attempts_) {
      if (attempt->device == name && attempt->phase == Attempt::Phase::training) closed(*attempt);
    }
  };
  return std::make_unique<TrainerHost>(loop_, options_, start_trainer_, device, output, std::move(callbacks));
}

void JobRunner::start_trainers() {
  for (const auto& host : hosts_) host->start();
}

void JobRunner::recover() {
  for (const SpoolContents& spool : spooler_->recover()) {
    auto attempt =
        std::make_unique<Attempt>(spool.fence, OutboxLimits{options_.metrics_limit.value, options_.log_limit.value});
    attempt->phase = Attempt::Phase::ended;
    for (const SpoolRecord& record : spool.records) attempt->outbox.restore(record);
    attempts_.emplace(attempt_key(spool.fence), std::move(attempt));
  }
}

Attempt* JobRunner::find(const Fence& fence) {
  const auto found = attempts_.find(attempt_key(fence));
  return found == attempts_.end() ? nullptr : found->second.get();
}

TrainerHost* JobRunner::host_of(const std::string& device) {
  for (const auto& host : hosts_) {
    if (host->device().name == device) return host.get();
  }
  return nullptr;
}

TrainerHost* JobRunner::host_for(const std::string& device) {
  if (device.find('+') == std::string::npos) return host_of(device);
  TrainerHost* gang = host_of(device);
  if (gang == nullptr) {
    const TrainerHost* first = nullptr;
    std::uint32_t ranks = 0;
    for (std::size_t at = 0; at <= device.size(); ++ranks) {
      const std::size_t end = std::min(device.find('+', at), device.size());
      const TrainerHost* one = host_of(device.substr(at, end - at));
      if (one == nullptr) return nullptr;
      if (first == nullptr) first = one;
      at = end + 1;
    }
    DeviceSpec spec = first->device();
    spec.name = device;
    spec.ranks = ranks;
    hosts_.push_back(make_host(spec, (state_.trainers() / (device + ".log")).string()));
    gang = hosts_.back().get();
  }
  gang->start();
  return gang;
}

void JobRunner::end_idle_gangs() {
  for (const auto& host : hosts_) {
    if (host->device().ranks == 1) continue;
    const bool used = std::ranges::any_of(attempts_, [&](const auto& entry) {
      const Attempt& attempt = *entry.second;
      const bool open = attempt.phase == Attempt::Phase::preparing || attempt.phase == Attempt::Phase::training;
      return open && attempt.device == host->device().name;
    });
    if (!used) host->drain();
  }
}

void JobRunner::assign(const wire::Assign& assign) {
  const Fence fence = from_wire(assign.fence());
  if (draining_ || find(fence) != nullptr) return;
  std::vector<Fence> older;
  for (auto known = attempts_.lower_bound({fence.job, 0, 0, {}}); known != attempts_.end(); ++known) {
    if (known->first.job != fence.job) break;
    if (!known->second->abandoned) older.push_back(known->first);
  }
  // A newer attempt fences what this worker may still run of the same job; what is spooled of an ended one is still
  // told.
  for (const Fence& known : older) {
    if (find(known)->phase != Attempt::Phase::ended) abandon(known);
  }
  auto made = std::make_unique<Attempt>(fence, OutboxLimits{options_.metrics_limit.value, options_.log_limit.value});
  Attempt& attempt = *made;
  attempt.job_id = assign.job_id();
  attempt.device = assign.device();
  attempts_.emplace(attempt_key(fence), std::move(made));
  if (host_for(attempt.device) == nullptr) {
    return fail(attempt, "internal", fmt::format("worker {} has no device {}", options_.name, attempt.device));
  }
  prepare(attempt, assign);
}

void JobRunner::prepare(Attempt& attempt, const wire::Assign& assign) {
  auto made = transfers_.make_folder(attempt.fence);
  if (!made) return fail(attempt, class_of(made.error().code), made.error().message);
  attempt.folder = std::move(made).value();
  if (spdlog::should_log(spdlog::level::debug)) {
    spdlog::debug("assigned attempt={} job={} device={} folder={}", describe(attempt.fence), attempt.job_id,
                  attempt.device, attempt.folder.filename().string());
  }
  if (assign.fetch_size() == 0 && !assign.has_resume()) return prepared(attempt.fence, assign, success());
  transfers_.lay(
      assign, attempt.folder, attempt.cancelled,
      [this, fence = attempt.fence](const wire::Assign& laid, const Status& status) { prepared(fence, laid, status); });
}

void JobRunner::prepared(const Fence& fence, const wire::Assign& assign, const Status& status) {
  Attempt* attempt = find(fence);
  if (attempt == nullptr || attempt->phase != Attempt::Phase::preparing) return;
  if (attempt->abandoned) return retire(fence);
  if (!status) return fail(*attempt, class_of(status.error().code), status.error().message);
  crash_point("job.prepared");
  attempt->phase = Attempt::Phase::training;
  wire::TrainerJob job;
  *job.mutable_assign() = assign;
  job.set_folder(attempt->folder.string());
  host_of(attempt->device)->run(job);
}

void JobRunner::stop(const Fence& fence, const std::string& cause) {
  Attempt* attempt = find(fence);
  if (attempt == nullptr || attempt->abandoned) return;
  if (cause == "lost") return abandon(fence);
  attempt->stop_asked = true;
  if (attempt->phase == Attempt::Phase::training) return host_of(attempt->device)->stop(attempt->fence, cause);
  if (attempt->phase == Attempt::Phase::preparing) hand_back(*attempt);
}

// Ends an attempt that has nothing to show (any more): it has not begun, or its trainer is gone.
void JobRunner::hand_back(Attempt& attempt) {
  *attempt.cancelled = true;
  wire::Item item;
  item.mutable_stopped();
  tell(attempt, item);
  attempt.phase = Attempt::Phase::ended;
  end_idle_gangs();
}

void JobRunner::abandon(const Fence& fence) {
  Attempt* attempt = find(fence);
  if (attempt == nullptr || attempt->abandoned) return;
  if (attempt->phase == Attempt::Phase::ended) {
    // Its items are nobody's business any more; what was measured still belongs into the curves.
    attempt->outbox.ack_items(attempt->outbox.last_sequence());
    return retire_if_done(fence);
  }
  spdlog::info("attempt is fenced, its work is dropped attempt={}", describe(fence));
  attempt->abandoned = true;
  *attempt->cancelled = true;
  spooler_->remove(attempt->fence);
  if (attempt->phase == Attempt::Phase::training) host_of(attempt->device)->stop(attempt->fence, "lost");
}

void JobRunner::give_up_all() {
  std::vector<Fence> all;
  for (const auto& [fence, attempt] : attempts_) all.push_back(fence);
  for (const Fence& fence : all) {
    Attempt* attempt = find(fence);
    if (attempt->leaving != Attempt::Leaving::no || attempt->phase == Attempt::Phase::ended) continue;
    spdlog::warn("no contact for too long, attempt stops with a checkpoint attempt={}", describe(fence));
    attempt->leaving = Attempt::Leaving::lost;
    if (attempt->phase == Attempt::Phase::training) {
      host_of(attempt->device)->stop(attempt->fence, "lost");
    } else if (attempt->phase == Attempt::Phase::preparing) {
      *attempt->cancelled = true;
      attempt->phase = Attempt::Phase::ended;
      retire_if_done(fence);
    }
  }
}

void JobRunner::item_ack(const Fence& fence, std::uint64_t sequence, bool late) {
  Attempt* attempt = find(fence);
  if (attempt == nullptr) return;
  if (late) return abandon(fence);
  crash_point("item.acknowledged");
  attempt->outbox.ack_items(sequence);
  speaks(*attempt);
  if (TrainerHost* host = host_of(attempt->device)) host->acknowledged(attempt->fence, sequence);
  if (attempt->outbox.stale_bytes() > (attempt->outbox.empty() ? kForgetAt : kCompactAt)) {
    spooler_->rewrite(attempt->fence, attempt->outbox.compact());
  }
  retire_if_done(fence);
}

void JobRunner::metric_ack(const Fence& fence, std::uint64_t last_sequence) {
  Attempt* attempt = find(fence);
  if (attempt == nullptr) return;
  attempt->outbox.ack_metrics(last_sequence);
  speaks(*attempt);
  retire_if_done(fence);
}

void JobRunner::log_ack(const Fence& fence, std::uint64_t offset) {
  Attempt* attempt = find(fence);
  if (attempt == nullptr) return;
  attempt->outbox.ack_log(offset);
  speaks(*attempt);
  retire_if_done(fence);
}

std::vector<wire::Held> JobRunner::held() const {
  std::vector<wire::Held> all;
  for (const auto& [fence, attempt] : attempts_) {
    const bool ended = attempt->phase == Attempt::Phase::ended;
    // Left-over metric points and log text hold no lease.
    if (attempt->abandoned || (ended && attempt->outbox.items_empty())) continue;
    wire::Held& held = all.emplace_back();
    *held.mutable_fence() = to_wire(attempt->fence);
    held.set_running(!ended && attempt->leaving != Attempt::Leaving::lost);
  }
  return all;
}

std::vector<wire::Envelope> JobRunner::take() {
  std::vector<wire::Envelope> all;
  std::vector<Attempt*> speakers;
  for (const Fence& fence : std::exchange(ready_, {})) {
    Attempt* attempt = find(fence);
    if (attempt == nullptr) continue;
    if (attempt->abandoned) {
      attempt->log_lines.clear();
      continue;
    }
    speakers.push_back(attempt);
  }
  std::size_t bytes = 0;
  for (Attempt* attempt : speakers) attempt->outbox.take_items(all, bytes);
  std::uint64_t dropped = 0;
  for (Attempt* attempt : speakers) {
    if (!attempt->log_lines.empty()) spooler_->append(attempt->fence, attempt->outbox.add_log(attempt->log_lines));
    attempt->log_lines.clear();
    attempt->outbox.take_rest(all);
    dropped += attempt->outbox.dropped() - std::exchange(attempt->dropped_told, attempt->outbox.dropped());
  }
  if (dropped != 0)
    spdlog::warn("metric points or log text were dropped: too much waits for the coordinator messages={}", dropped);
  return all;
}

void JobRunner::tell_trainers() {
  for (const auto& host : hosts_) host->flush();
}

void JobRunner::rewind() {
  for (const auto& [fence, attempt] : attempts_) {
    attempt->outbox.rewind();
    ready_.insert(fence);
  }
}

void JobRunner::drain() {
  draining_ = true;
  std::vector<Fence> all;
  for (const auto& [fence, attempt] : attempts_) all.push_back(fence);
  for (const Fence& fence : all) {
    Attempt& attempt = *find(fence);
    if (attempt.abandoned || attempt.phase == Attempt::Phase::ended) continue;
    if (attempt.leaving == Attempt::Leaving::no) attempt.leaving = Attempt::Leaving::drain;
    if (attempt.phase == Attempt::Phase::preparing) hand_back(attempt);
  }
  for (const auto& host : hosts_) host->drain();
}

bool JobRunner::drained() const {
  for (const auto& host : hosts_) {
    if (!host->gone()) return false;
  }
  for (const auto& [fence, attempt] : attempts_) {
    if (!attempt->abandoned && (attempt->phase != Attempt::Phase::ended || !attempt->outbox.items_empty()))
      return false;
  }
  return true;
}

void JobRunner::retire_if_done(const Fence& fence) {
  Attempt* attempt = find(fence);
  if (attempt == nullptr || attempt->phase != Attempt::Phase::ended) return;
  if (attempt->outbox.empty() && attempt->log_lines.empty()) retire(fence);
}

void JobRunner::retire(const Fence& fence) {
  const auto attempt = attempts_.extract(attempt_key(fence));
  if (attempt.empty()) return;
  end_idle_gangs();
  const std::filesystem::path folder = attempt.mapped()->folder;
  spooler_->remove(attempt.mapped()->fence);
  if (folder.empty()) return;
  transfers_.remove_folder(folder);
}

}  // namespace fathom::worker
