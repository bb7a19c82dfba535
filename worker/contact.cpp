#include "worker/contact.hpp"

#include <algorithm>

namespace fathom::worker {

void Contact::welcomed(TimePoint asked, const Terms& terms) {
  terms_ = terms;
  renewed_ = std::max(renewed_, asked);
  ever_ = true;
  waiting_.clear();
}

std::uint64_t Contact::beat(TimePoint now) {
  waiting_.emplace_back(++number_, now);
  return number_;
}

void Contact::acknowledged(std::uint64_t number) {
  while (!waiting_.empty() && waiting_.front().first <= number) {
    renewed_ = std::max(renewed_, waiting_.front().second);
    waiting_.pop_front();
  }
}

bool Contact::half_open(TimePoint now) const {
  return !waiting_.empty() && now - waiting_.front().second > 2 * terms_.heartbeat;
}

bool Contact::lapsed(TimePoint now) const { return ever_ && now - renewed_ > terms_.lease - terms_.lease / 5; }

bool Contact::orphaned(TimePoint now) const { return ever_ && now - renewed_ > terms_.orphan_grace; }

}  // namespace fathom::worker
