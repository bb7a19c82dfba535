#include "worker/spooler.hpp"

#include <chrono>

#include "common/thread_name.hpp"

namespace fathom::worker {
namespace {

// Between the begins of two rounds of which nobody waits for the second: each costs a sync here, a message, a commit
// at the coordinator and the wake-ups between them, for one item as for fifty.
constexpr std::chrono::milliseconds kPace(10);

}  // namespace

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
  // Whoever keeps its distance is not woken by what comes meanwhile.
  if (queue_.empty() || job.urgent) wake_.notify_one();
  urgent_ = urgent_ || job.urgent;
  queue_.push_back(std::move(job));
}

void ThreadSpooler::flush() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return queue_.empty() && !busy_; });
}

void ThreadSpooler::run() {
  auto next = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return ending_ || !queue_.empty(); });
    if (queue_.empty()) return;
    wake_.wait_until(lock, next, [this] { return ending_ || urgent_; });
    next = std::chrono::steady_clock::now() + kPace;
    urgent_ = false;
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
