#include "worker/spooler.hpp"
#include "common/crash_point.hpp"

#include <spdlog/spdlog.h>

namespace fathom::worker {

ThreadSpooler::ThreadSpooler(const std::filesystem::path& folder, Durable durable, Disk& disk)
    : folder_(folder), disk_(disk), writer_(folder, std::move(durable), disk), thread_([this] { run(); }) {}

ThreadSpooler::~ThreadSpooler() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    wake_.notify_one();
  }
  thread_.join();
}

void ThreadSpooler::push(SpoolJob job) {
  const std::lock_guard lock(mutex_);
  queue_.push_back(std::move(job));
  wake_.notify_one();
}

void ThreadSpooler::flush() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return queue_.empty() && !busy_; });
}

void ThreadSpooler::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return ending_ || !queue_.empty(); });
    if (queue_.empty()) return;
    std::vector<SpoolJob> round;
    round.swap(queue_);
    busy_ = true;
    lock.unlock();
    writer_.write_round(round);
    lock.lock();
    busy_ = false;
    if (queue_.empty()) idle_.notify_all();
  }
}

void SpoolWriter::write_round(std::vector<SpoolJob>& round) {
  std::map<Fence, std::vector<SpoolJob*>> by_attempt;
  for (SpoolJob& job : round) by_attempt[job.fence].push_back(&job);
  for (auto& [fence, jobs] : by_attempt) write_attempt(fence, jobs);
}

// One attempt's part of a round: writes in order, one sync if an item is among them, then the news.
void SpoolWriter::write_attempt(const Fence& fence, std::vector<SpoolJob*>& jobs) {
  Status status = success();
  std::uint64_t sequence = 0;
  for (SpoolJob* job : jobs) {
    if (auto applied = apply(fence, *job); !applied) status = applied.error();
    if (job->action == SpoolJob::Action::remove) sequence = 0;  // nobody waits for what was removed
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

Status SpoolWriter::apply(const Fence& fence, SpoolJob& job) {
  if (job.action == SpoolJob::Action::append) {
    auto file = files_.find(fence);
    if (file == files_.end()) {
      FATHOM_ASSIGN(SpoolFile opened, SpoolFile::open(folder_, fence, disk_));
      file = files_.emplace(fence, std::move(opened)).first;
    }
    return file->second.append(job.records);
  }
  files_.erase(fence);
  if (job.action == SpoolJob::Action::rewrite) return rewrite_spool(folder_, fence, job.records, disk_);
  disk_.remove(folder_ / spool_file_name(fence));
  return success();
}

}  // namespace fathom::worker
