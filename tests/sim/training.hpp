// What a simulated trainer computes: a number that depends on the job, on every epoch and on every input, so that a
// result shows whether a resume or an input was what it had to be. Thread: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fathom::sim {

inline std::uint64_t mix(std::uint64_t value, std::uint64_t with) {
  value ^= with + 0x9e3779b97f4a7c15ULL + (value << 6) + (value >> 2);
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
  return value ^ (value >> 27);
}
inline std::uint64_t mix(std::uint64_t value, std::string_view text) {
  for (const char c : text) value = mix(value, static_cast<unsigned char>(c));
  return value;
}
// In [0, 1): differs by job and epoch.
inline double objective_of(std::string_view job_id, std::uint32_t epoch) {
  return static_cast<double>(mix(mix(7, job_id), epoch) >> 11) * 0x1.0p-53;
}
// Before the first epoch; inputs are mixed in after it, in order.
inline std::uint64_t value_at_start(std::string_view job_id) { return mix(1, job_id); }
inline std::string value_file(std::uint64_t value) { return "value " + std::to_string(value) + "\n"; }

struct BestEpoch {
  double objective = -1;
  std::uint32_t epoch = 0;
  void see(double value, std::uint32_t at) {
    if (value <= objective) return;
    objective = value;
    epoch = at;
  }
};
inline std::string result_text(const BestEpoch& best, std::uint64_t value) {
  return "{\"epoch\":" + std::to_string(best.epoch) + ",\"objective\":" + std::to_string(best.objective) +
         ",\"value\":\"" + std::to_string(value) + "\"}";
}

}  // namespace fathom::sim
