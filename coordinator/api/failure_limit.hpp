// How often one address may fail to say who it is. Beyond the limit its failures are told to wait (429), so that
// guessing and broken scripts cost little; whoever has a good token is never held up by others behind the same address.
// Thread: every method from any thread. Bounded: the address that failed longest ago is forgotten first.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "common/clock.hpp"

namespace fathom::api {

class FailureLimit {
 public:
  struct Limits {
    std::uint32_t failures = 20;
    Millis window{60'000};
    std::size_t addresses = 10'000;
  };
  explicit FailureLimit(const Clock& clock) : FailureLimit(clock, Limits{}) {}
  FailureLimit(const Clock& clock, Limits limits) : clock_(clock), limits_(limits) {}

  // Counts one failure. Zero: within the limit; else how long the address has to wait.
  Millis fail(const std::string& address);

 private:
  struct Count {
    TimePoint since;
    std::uint32_t failures = 0;
  };
  const Clock& clock_;
  const Limits limits_;
  std::mutex mutex_;
  std::map<std::string, Count> counts_;
};

}  // namespace fathom::api
