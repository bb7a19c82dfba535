// Named places at which a test may end this process as kill -9 would: between two steps of which the first must not be
// lost without the second. Read from the environment once, at the first passing:
//   FATHOM_CRASH_AT=PROGRAM@POINT[:COUNT]  PROGRAM as in /proc/PID/comm ("fathom-worker"); the COUNT-th passing (1)
//   FATHOM_CRASH_ONCE=FILE                 made before the end; when it is there already, nothing happens: a program
//                                          that is started again goes on
// Without FATHOM_CRASH_AT a passing costs one comparison. The points and what each stands for: docs/reliability.md.
// Thread: any.
#pragma once

namespace fathom {

void crash_point(const char* point) noexcept;

}  // namespace fathom
