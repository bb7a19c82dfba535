// Random numbers of searches: the same on every machine. Thread: plain values.
#pragma once

#include <cstdint>

namespace fathom::sweeps {

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
class SplitMix {
 public:
  explicit SplitMix(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15ULL); }
  // Spreads every bit of a number, or of a hash, over all.
  static std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // In [0, 1): the upper 53 bits, so that the result stays below 1.
  static double to_unit(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }
  double unit() { return to_unit(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace fathom::sweeps
