// Time as an argument. Pure code takes TimePoint/WallTime values; programs take a Clock so that tests and the
// simulation can hold it. Leases use the monotonic clock only; wall time is for people.
#pragma once

#include <chrono>
#include <cstdint>

namespace fathom {

using Millis = std::chrono::milliseconds;
// Milliseconds of a monotonic clock; the origin has no meaning and differs between processes.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Millis>;
// Milliseconds since the Unix epoch, UTC.
using WallTime = std::chrono::time_point<std::chrono::system_clock, Millis>;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint now() const = 0;
  [[nodiscard]] virtual WallTime wall() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override {
    return std::chrono::time_point_cast<Millis>(std::chrono::steady_clock::now());
  }
  [[nodiscard]] WallTime wall() const override {
    return std::chrono::time_point_cast<Millis>(std::chrono::system_clock::now());
  }
};

}  // namespace fathom
