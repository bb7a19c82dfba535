// The worker's one thread of decisions. Everything that happens (a frame from the coordinator or a trainer, a finished
// upload, a timer) is posted here as a task, so that the agent's state needs no locks. Tasks must not block: what waits
// for a disk or a peer has a thread of its own and posts its result.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "common/clock.hpp"

namespace fathom::worker {

// What the agent knows of its thread; the simulation has one with a clock of its own.
class Loop {
 public:
  using Task = std::function<void()>;
  virtual ~Loop() = default;

  // Any thread. Tasks run in the order they were posted. After stop() they are dropped.
  virtual void post(Task task) = 0;
  // Any thread. Runs `task` once, not before `delay` has passed.
  virtual void post_after(Millis delay, Task task) = 0;
  // Called on the loop's thread each time the queue has run empty: the place to send what tasks have gathered.
  virtual void set_after_batch(Task task) = 0;
  // Runs tasks on the calling thread until stop().
  virtual void run() = 0;
  // Any thread; the task that runs now is finished first.
  virtual void stop() = 0;
  [[nodiscard]] virtual TimePoint now() const = 0;
};

class ThreadLoop final : public Loop {
 public:
  void post(Task task) override;
  void post_after(Millis delay, Task task) override;
  void set_after_batch(Task task) override { after_batch_ = std::move(task); }
  void run() override;
  void stop() override;
  [[nodiscard]] TimePoint now() const override { return SystemClock().now(); }

 private:
  using Key = std::pair<TimePoint, std::uint64_t>;  // when, and the order of posting

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Task> tasks_;
  std::map<Key, Task> timers_;
  std::uint64_t posted_ = 0;
  bool stopped_ = false;
  Task after_batch_;
};

}  // namespace fathom::worker
