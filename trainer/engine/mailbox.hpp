// What the socket's thread hands to the compute thread: frames in their order, and the news that no more will come.
// Thread: put() and close() from one thread, take() from another.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "common/protocol/wire.pb.h"

namespace fathom::trainer {

class Mailbox {
 public:
  void put(wire::Envelope envelope) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(envelope));
    }
    changed_.notify_one();
  }

  // Nothing more will be put in; whoever computes shall end.
  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_one();
  }

  [[nodiscard]] bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }

  // Everything there is; with `wait`, returns only when there is something or the box is closed.
  std::deque<wire::Envelope> take(bool wait) {
    std::unique_lock lock(mutex_);
    if (wait) changed_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
    return std::exchange(waiting_, {});
  }

 private:
  mutable std::mutex mutex_;  // protects both members below
  std::deque<wire::Envelope> waiting_;
  bool closed_ = false;
  std::condition_variable changed_;
};

// Which jobs run and how many passes were made, written by the compute thread and told by the socket's thread.
class ProgressBoard {
 public:
  void set(std::vector<wire::Fence> running, std::uint64_t passes) {
    const std::lock_guard lock(mutex_);
    running_ = std::move(running);
    passes_ = passes;
  }

  [[nodiscard]] wire::Alive alive() const {
    const std::lock_guard lock(mutex_);
    wire::Alive alive;
    for (const auto& fence : running_) *alive.add_running() = fence;
    alive.set_steps(passes_);
    return alive;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<wire::Fence> running_;
  std::uint64_t passes_ = 0;
};

}  // namespace fathom::trainer
