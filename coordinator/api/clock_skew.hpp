// How far a worker's wall clock is from the coordinator's. Nothing is decided by it: leases run on the coordinator's
// monotonic clock. But people read times of both, in logs and curves. Pure; thread: the owner's.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

namespace fathom::api {

class ClockSkew {
 public:
  static constexpr std::int64_t kWarn = 5'000;  // ms; a heartbeat's way is part of what is measured

  // The worker's clock minus the coordinator's, ms. True: it is worth a warning, and was not a moment ago.
  bool see(std::int64_t skew_ms) {
    skew_ms_ = skew_ms;
    const bool before = warned_;
    warned_ = std::llabs(skew_ms) > (before ? kWarn / 2 : kWarn);
    return warned_ && !before;
  }
  [[nodiscard]] std::int64_t ms() const { return skew_ms_; }
  // For a person; empty while the clocks agree: "its clock is 86400 s ahead".
  [[nodiscard]] std::string text() const {
    if (!warned_) return {};
    return "its clock is " + std::to_string(std::llabs(skew_ms_) / 1000) + (skew_ms_ > 0 ? " s ahead" : " s behind");
  }

 private:
  std::int64_t skew_ms_ = 0;
  bool warned_ = false;
};

}  // namespace fathom::api
