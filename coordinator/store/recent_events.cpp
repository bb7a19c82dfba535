#include "coordinator/store/recent_events.hpp"

#include <algorithm>

namespace fathom::store {
namespace {

std::size_t size_of(const std::vector<EventRecord>& batch) {
  std::size_t bytes = 0;
  for (const EventRecord& record : batch) bytes += record.bytes.size() + sizeof record;
  return bytes;
}

}  // namespace

void RecentEvents::add(EventBatch batch) {
  if (batch->empty()) return;
  const std::size_t bytes = size_of(*batch);
  const std::lock_guard lock(mutex_);
  if (bytes > limit_) {
    batches_.clear();
    bytes_ = 0;
    return;
  }
  batches_.push_back(std::move(batch));
  bytes_ += bytes;
  while (bytes_ > limit_) {
    bytes_ -= size_of(*batches_.front());
    batches_.pop_front();
  }
}

std::vector<EventBatch> RecentEvents::from(std::uint64_t from) const {
  const std::lock_guard lock(mutex_);
  const auto first = std::ranges::partition_point(batches_, [&](const auto& one) { return one->back().seq < from; });
  if (first == batches_.end() || (*first)->front().seq > from) return {};
  return {first, batches_.end()};
}

}  // namespace fathom::store
