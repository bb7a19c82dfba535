#include "worker/spooler.hpp"
#include "common/crash_point.hpp"

#include <spdlog/spdlog.h>

#include <system_error>

namespace fathom::worker {

Spooler::Spooler(std::filesystem::path folder, Durable durable)
    : folder_(std::move(folder)), durable_(std::move(durable)), thread_([this] { run(); }) {}

Spooler::~Spooler() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    wake_.notify_one();
  }
  thread_.join();
}

void Spooler::append_item(const Fence& fence, std::uint64_t sequence, std::string payload) {
  Job job{fence, Action::append, {}, sequence};
  job.records.push_back({SpoolKind::item, std::move(payload)});
  push(std::move(job));
}

void Spooler::append(const Fence& fence, SpoolRecord record) {
  Job job{fence, Action::append, {}, 0};
  job.records.push_back(std::move(record));
  push(std::move(job));
}

void Spooler::rewrite(const Fence& fence, std::vector<SpoolRecord> records) {
  push({fence, Action::rewrite, std::move(records), 0});
}

void Spooler::remove(const Fence& fence) { push({fence, Action::remove, {}, 0}); }

void Spooler::push(Job job) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(std::move(job));
  wake_.notify_one();
}

void Spooler::flush() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return queue_.empty() && !busy_; });
}

void Spooler::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return ending_ || !queue_.empty(); });
    if (queue_.empty()) return;
    std::vector<Job> round;
    round.swap(queue_);
    busy_ = true;
    lock.unlock();
    write_round(round);
    lock.lock();
    busy_ = false;
    if (queue_.empty()) idle_.notify_all();
  }
}

void Spooler::write_round(std::vector<Job>& round) {
  std::map<Fence, std::vector<Job*>> by_attempt;
  for (Job& job : round) by_attempt[job.fence].push_back(&job);
  for (auto& [fence, jobs] : by_attempt) write_attempt(fence, jobs);
}

// One attempt's part of a round: writes in order, one sync if an item is among them, then the news.
void Spooler::write_attempt(const Fence& fence, std::vector<Job*>& jobs) {
  Status status = success();
  std::uint64_t sequence = 0;
  for (Job* job : jobs) {
    if (auto applied = apply(fence, *job); !applied) status = applied.error();
    if (job->action == Action::remove) sequence = 0;  // nobody waits for what was removed
    if (job->sequence > 0) sequence = job->sequence;
  }
  if (sequence == 0) {
    if (!status) spdlog::warn("spool not written job={} error=\"{}\"", fence.job.value(), status.error().message);
    return;
  }
  crash_point("spool.written");
  if (auto file = files_.find(fence); status && file != files_.end()) status = file->second.sync();
  crash_point("spool.durable");
  durable_(fence, sequence, status);
}

Status Spooler::apply(const Fence& fence, Job& job) {
  if (job.action == Action::append) {
    auto file = files_.find(fence);
    if (file == files_.end()) {
      FATHOM_ASSIGN(SpoolFile opened, SpoolFile::open(folder_, fence));
      file = files_.emplace(fence, std::move(opened)).first;
    }
    return file->second.append(job.records);
  }
  files_.erase(fence);
  if (job.action == Action::rewrite) return rewrite_spool(folder_, fence, job.records);
  std::error_code ignored;
  std::filesystem::remove(folder_ / spool_file_name(fence), ignored);
  return success();
}

}  // namespace fathom::worker
