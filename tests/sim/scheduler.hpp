// Virtual time: everything that happens in a simulated world is a task here, run in the order of its time and, at one
// time, of its making. Thread: one world, one thread. No task runs inside another one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <vector>

#include "common/clock.hpp"
#include "sweeps/search/random.hpp"

namespace fathom::sim {

// What a task belongs to: it is dropped when that has ended. A process that is killed ends its Life.
class Life {
 public:
  Life() : alive_(std::make_shared<bool>(true)) {}
  void end() { *alive_ = false; }
  [[nodiscard]] bool alive() const { return *alive_; }

 private:
  std::shared_ptr<bool> alive_;
};

class Scheduler {
 public:
  using Task = std::function<void()>;

  void at(TimePoint time, const Life& life, Task task) {
    queue_.push({std::max(time, now_), ++made_, life, std::move(task)});
  }
  void after(Millis delay, const Life& life, Task task) { at(now_ + delay, life, std::move(task)); }
  // False: nothing is left.
  bool run_one() {
    while (!queue_.empty()) {
      Entry next = std::move(const_cast<Entry&>(queue_.top()));  // popped at once
      queue_.pop();
      if (!next.life.alive()) continue;
      now_ = next.time;
      ++steps_;
      next.task();
      return true;
    }
    return false;
  }
  [[nodiscard]] TimePoint now() const { return now_; }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }

 private:
  struct Entry {
    TimePoint time;
    std::uint64_t order;
    Life life;
    Task task;
    bool operator<(const Entry& other) const { return time != other.time ? time > other.time : order > other.order; }
  };
  std::priority_queue<Entry> queue_;
  TimePoint now_{Millis(1'000'000)};  // not zero, so that nobody takes it for "never"
  std::uint64_t made_ = 0;
  std::uint64_t steps_ = 0;
};

// The coordinator's clocks: monotonic is the world's, the wall may be set.
class WorldClock final : public Clock {
 public:
  explicit WorldClock(const Scheduler& scheduler) : scheduler_(scheduler) {}
  [[nodiscard]] TimePoint now() const override { return scheduler_.now(); }
  [[nodiscard]] WallTime wall() const override {
    return WallTime(scheduler_.now().time_since_epoch() + Millis(1'700'000'000'000) + offset_);
  }
  void jump(Millis by) { offset_ += by; }

 private:
  const Scheduler& scheduler_;
  Millis offset_{0};
};

// The same numbers on every machine, whatever the standard library.
class Random {
 public:
  explicit Random(std::uint64_t seed) : numbers_(seed) {}
  std::uint64_t next() { return numbers_.next(); }
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(next() % count); }
  bool chance(unsigned percent) { return next() % 100 < percent; }
  double share() { return numbers_.unit(); }
  Millis millis(int least, int most) {
    return Millis(least + static_cast<int>(below(static_cast<std::size_t>(most - least + 1))));
  }

 private:
  sweeps::SplitMix numbers_;
};

}  // namespace fathom::sim
