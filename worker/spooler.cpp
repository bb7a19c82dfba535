#include "worker/spooler.hpp"

#include "common/thread_name.hpp"

namespace fathom::worker {

ThreadSpooler::ThreadSpooler(const std::filesystem::path& folder, Durable durable, Disk& disk)
    : writer_(folder, std::move(durable), disk), thread_([this] {
        name_thread("spool");
        run();
      }) {}

ThreadSpooler::~ThreadSpooler() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    wake_.notify_one();
  }
  thread_.join();
  writer_.close();
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

}  // namespace fathom::worker
