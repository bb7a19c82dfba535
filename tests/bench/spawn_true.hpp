// Process jobs of the no-op trainer, and what they are measured against. Thread: any.
#pragma once

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

namespace fathom {

// What a process job costs whoever starts it. False: it did not end well.
inline bool run_true() {
  char name[] = "true";
  char* const arguments[] = {name, nullptr};
  pid_t child = 0;
  int status = 0;
  if (::posix_spawn(&child, "/bin/true", nullptr, nullptr, arguments, environ) != 0) return false;
  return ::waitpid(child, &status, 0) == child && status == 0;
}

// What the process jobs of a trainer are measured against: so many of these processes one after the other, a second.
inline int measure_spawns(int count) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < count; ++i) {
    if (!run_true()) return 1;
  }
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  fmt::print("{}\n", count / taken.count());
  return 0;
}

}  // namespace fathom
