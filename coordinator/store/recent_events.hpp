// The newest records of the log, so that readers that follow closely (the read model, snapshots) need not ask the
// database for what was in memory a moment ago. Thread: any.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "coordinator/store/event_store.hpp"

namespace fathom::store {

using EventBatch = std::shared_ptr<const std::vector<EventRecord>>;

class RecentEvents {
 public:
  // `bytes`: what is kept at most; a larger batch is not kept at all.
  explicit RecentEvents(std::size_t bytes) : limit_(bytes) {}

  // In the order of the log.
  void add(EventBatch batch);
  // The batches from the one with record `from` on; empty: that one is not here (any more, or yet).
  [[nodiscard]] std::vector<EventBatch> from(std::uint64_t from) const;

 private:
  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::deque<EventBatch> batches_;  // mutex_; without gaps
  std::size_t bytes_ = 0;           // mutex_
};

}  // namespace fathom::store
