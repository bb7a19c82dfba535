// Plain values that commands, state and effects share. They mirror the wire's messages, but the core does not know the
// wire. Thread: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/ids.hpp"

namespace fathom::core {

// The moment a command is judged. mono for leases and waits, wall for what people read.
struct Now {
  TimePoint mono;
  WallTime wall;
};

struct File {
  std::string path;    // relative, '/' separated
  std::string sha256;  // hex
  std::uint64_t size = 0;
  bool operator==(const File&) const = default;
};

// A resumable checkpoint that the artifact store has.
struct Checkpoint {
  std::uint32_t epoch = 0;
  std::uint64_t step = 0;
  File file;
  double objective = 0;
  bool best = false;  // the best epoch of the attempt so far
  bool operator==(const Checkpoint&) const = default;
};

// What a worker has to offer.
struct Device {
  std::string name;  // "cpu:0", "cuda:1"; unique in its worker
  std::string kind;  // "cpu" | "cuda"
  std::uint32_t threads = 0;
  std::uint32_t slots = 1;
  std::string model;
  std::uint64_t memory = 0;  // bytes
  bool bf16 = false;         // runs jobs of precision bf16
  std::uint32_t ahead = 0;   // leases that it holds beyond its slots, in a queue of its own
};

// An attempt that a worker says it has.
struct Held {
  Fence fence;
  bool running = true;  // false: ended, items still spooled
};

}  // namespace fathom::core
