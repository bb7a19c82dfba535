// What the worker tells about its machine. Thread: free function.
#pragma once

#include <cstdint>
#include <string>

namespace fathom::worker {

struct Machine {
  std::string host;          // its name
  std::string cpu_model;     // e.g. "AMD EPYC 7763"; empty where unknown
  std::uint64_t memory = 0;  // bytes
  bool bf16 = false;         // the CPU has products of bfloat16 that the trainer uses
};

[[nodiscard]] Machine describe_machine();

}  // namespace fathom::worker
