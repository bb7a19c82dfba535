// Randomness that needs no state to resume: every draw comes from a stream named by (seed, purpose, counter), so step
// 1000 of a resumed job draws what it would have drawn undisturbed, whatever its neighbours do.
// The generators are SplitMix64 (Steele et al. 2014) and xoshiro256** (Blackman & Vigna 2018), written out here because
// the standard library's distributions differ between implementations.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace fathom::trainer {

// What a stream is for. The values are part of every result: never renumber.
enum class Purpose : std::uint64_t { order = 1, drop = 2, dropout = 3, initialisation = 4 };

// 64 well-mixed bits of (seed, purpose, counter).
std::uint64_t stream_key(std::uint64_t seed, Purpose purpose, std::uint64_t counter);

class Xoshiro256 {
 public:
  explicit Xoshiro256(std::uint64_t key);
  std::uint64_t next();
  // Uniform in [0, bound), unbiased (rejection); bound > 0.
  std::uint64_t below(std::uint64_t bound);

 private:
  std::array<std::uint64_t, 4> state_;
};

// The order in which epoch `epoch` (0-based) of a job visits its `size` training rows: Fisher-Yates.
std::vector<std::uint32_t> epoch_order(std::uint32_t size, std::uint64_t seed, std::uint64_t epoch);

// Drop depth n of optimizer step `step` (0-based) in robust training: uniform over lo..hi, both included.
std::uint32_t drawn_depth(std::uint32_t lo, std::uint32_t hi, std::uint64_t seed, std::uint64_t step);

}  // namespace fathom::trainer
