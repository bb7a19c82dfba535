#include "worker/task_thread.hpp"

#include <utility>

#include "common/thread_name.hpp"

namespace fathom::worker {

TaskThread::TaskThread()
    : thread_([this] {
        name_thread("transfers");
        run();
      }) {}

TaskThread::~TaskThread() {
  stop();
  thread_.join();
}

void TaskThread::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  tasks_.push_back(std::move(task));
  wake_.notify_one();
}

bool TaskThread::idle() const {
  const std::lock_guard lock(mutex_);
  return tasks_.empty() && !busy_;
}

void TaskThread::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  tasks_.clear();
  wake_.notify_one();
}

void TaskThread::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopped_ || !tasks_.empty(); });
    if (stopped_) return;
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    busy_ = true;
    lock.unlock();
    task();
    task = nullptr;
    lock.lock();
    busy_ = false;
  }
}

}  // namespace fathom::worker
