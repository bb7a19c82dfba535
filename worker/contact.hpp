// What the worker knows about its contact with the coordinator, on its own monotonic clock: when its leases were last
// renewed for certain, whether the line is half open, and how long it has been alone. Pure; thread: the worker's loop.
//
// A heartbeat renews from the moment it was *sent*, once its acknowledgement is here: the coordinator's own clock
// started the lease later than that, so the worker always gives up first.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>

#include "common/clock.hpp"

namespace fathom::worker {

class Contact {
 public:
  struct Terms {
    Millis heartbeat{5000};
    Millis lease{15'000};
    Millis orphan_grace{600'000};
  };

  // A Hello left at `asked` and was welcomed.
  void welcomed(TimePoint asked, const Terms& terms);
  // The connection is gone; what was on its way will not be acknowledged.
  void lost() { waiting_.clear(); }
  // The number of the heartbeat that is sent now.
  [[nodiscard]] std::uint64_t beat(TimePoint now);
  void acknowledged(std::uint64_t number);

  // A heartbeat is unanswered for two intervals: the line is half open, connect anew.
  [[nodiscard]] bool half_open(TimePoint now) const;
  // The leases may have ended at the coordinator: nothing may be claimed until a new Welcome has judged what is held.
  [[nodiscard]] bool lapsed(TimePoint now) const;
  // Alone for longer than the grace: running attempts are to stop with a checkpoint.
  [[nodiscard]] bool orphaned(TimePoint now) const;

  [[nodiscard]] const Terms& terms() const { return terms_; }

 private:
  Terms terms_;
  TimePoint renewed_{};
  bool ever_ = false;  // welcomed at least once
  std::uint64_t number_ = 0;
  std::deque<std::pair<std::uint64_t, TimePoint>> waiting_;  // sent, not acknowledged
};

}  // namespace fathom::worker
