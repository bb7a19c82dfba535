// A thread that runs tasks one after another: for what waits on disks or peers and must not hold up the worker's loop.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace fathom::worker {

// Thread: post() from any thread. Owner: destruction drops tasks that have not begun and joins.
class TaskThread {
 public:
  TaskThread();
  ~TaskThread();
  TaskThread(const TaskThread&) = delete;
  TaskThread& operator=(const TaskThread&) = delete;

  void post(std::function<void()> task);
  // True when nothing runs and nothing waits.
  [[nodiscard]] bool idle() const;
  // No task begins any more.
  void stop();

 private:
  void run();

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool busy_ = false;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace fathom::worker
