// How long to wait before the next try to connect: growing, each time by a random share, so that a hundred workers do
// not come back in step. Pure; thread: the owner's.
#pragma once

#include <algorithm>

#include "common/clock.hpp"

namespace fathom::worker {

class Pauses {
 public:
  // Doubles from `first` up to `most`.
  Pauses(Millis first, Millis most) : first_(first), most_(most), next_(first), longest_(most) {}

  // The next pause; `random` in [0, 1) makes it a share of [0.5, 1) of the whole.
  [[nodiscard]] Millis next(double random) {
    const auto wait = std::chrono::duration_cast<Millis>(next_ * (0.5 + 0.5 * random));
    next_ = std::min(next_ * 2, longest_);
    return wait;
  }
  // The coordinator has accepted us: the next pause is the first one again, and none is longer than a fifth of `lease`.
  // A coordinator that comes back gives each lease one new term; a worker that sleeps through it loses its jobs.
  void settled(Millis lease) {
    longest_ = std::min(most_, std::max(lease / 5, Millis(20)));
    next_ = std::min(first_, longest_);
  }

 private:
  Millis first_, most_;
  Millis next_, longest_;
};

}  // namespace fathom::worker
