#include "coordinator/api/failure_limit.hpp"

#include <algorithm>

namespace fathom::api {

Millis FailureLimit::fail(const std::string& address) {
  const TimePoint now = clock_.now();
  const std::lock_guard lock(mutex_);
  Count& count = counts_[address];
  if (count.failures == 0 || now - count.since >= limits_.window) count = {now, 0};
  ++count.failures;
  const Millis wait = count.failures > limits_.failures ? limits_.window - (now - count.since) : Millis{0};
  if (counts_.size() > limits_.addresses) {
    counts_.erase(std::min_element(counts_.begin(), counts_.end(),
                                   [](const auto& a, const auto& b) { return a.second.since < b.second.since; }));
  }
  return wait;
}

}  // namespace fathom::api
