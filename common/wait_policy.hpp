// How long LibTorch's threads wait for each other before they sleep. The OpenMP runtime reads it before main(), so who
// starts fathom-trainer sets it. Its own default spins for milliseconds behind every loop: with other programs on
// the cores, a thread that has work then waits for one that only spins (docs/performance.md).
#pragma once

#include <cstdlib>

namespace fathom {

// Sets it for programs started from here, unless the user has. Call before there are threads: it changes the
// environment.
inline void set_wait_policy() {
  constexpr const char* kRounds = "1000";  // tens of microseconds
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) ::setenv("GOMP_SPINCOUNT", kRounds, /*overwrite=*/0);
}

}  // namespace fathom
