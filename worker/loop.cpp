#include "worker/loop.hpp"

namespace fathom::worker {

void ThreadLoop::post(Task task) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  tasks_.push_back(std::move(task));
  wake_.notify_one();
}

void ThreadLoop::post_after(Millis delay, Task task) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return;
  timers_.emplace(Key{now() + delay, ++posted_}, std::move(task));
  wake_.notify_one();
}

void ThreadLoop::run() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    const TimePoint time = now();
    while (!timers_.empty() && timers_.begin()->first.first <= time) {
      tasks_.push_back(std::move(timers_.begin()->second));
      timers_.erase(timers_.begin());
    }
    if (tasks_.empty()) {
      if (timers_.empty()) {
        wake_.wait(lock);
      } else {
        wake_.wait_until(lock, timers_.begin()->first.first);
      }
      continue;
    }
    std::vector<Task> batch;
    batch.swap(tasks_);
    lock.unlock();
    for (Task& task : batch) task();
    batch.clear();
    if (after_batch_) after_batch_();
    lock.lock();
  }
}

void ThreadLoop::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  wake_.notify_all();
}

}  // namespace fathom::worker
