// The hash behind dropout masks, written once for the CPU's loop and the CUDA kernel, so that both draw the same bits.
// Pure functions of their arguments; thread: any.
#pragma once

#include <cstdint>

#ifdef __CUDACC__
#define FATHOM_DROPOUT_INLINE __host__ __device__ inline
#else
// Into the loop whatever instructions that is compiled for, or it is no loop of vectors.
#define FATHOM_DROPOUT_INLINE __attribute__((always_inline)) inline
#endif

namespace fathom::trainer {

// A dropout mask [rows, a, b, last] and what it is drawn from.
struct MaskShape {
  std::int64_t a = 1, b = 1, last = 1;
};
struct MaskDraw {
  std::uint64_t base = 0;       // of (seed, step, site)
  std::int64_t first_row = 0;   // number of the first row in the step
  std::uint32_t threshold = 0;  // elements with fewer bits are dropped
  double kept = 1;              // value of the others
};

namespace dropout_hash {

// SplitMix64's finalizer (Steele et al. 2014): a bijection that spreads every input bit over all output bits.
FATHOM_DROPOUT_INLINE std::uint64_t mix64(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

// The key of one line (the last dimension) of a mask [row, a, b, last]; `base` is of (seed, step, site). (a, b) fits 32
// bits, so that lines of one row never share a key.
FATHOM_DROPOUT_INLINE std::uint64_t line_key(std::uint64_t base, std::uint64_t row, std::uint64_t a, std::uint64_t b) {
  return mix64(mix64(base ^ row) ^ ((a << 16) | b));
}

// 32 bits of (key, j). The rounds are MurmurHash3's finalizer with the upper half of the key mixed in, 32-bit so that
// they vectorise; Word is std::uint32_t or a vector of them.
template <class Word>
FATHOM_DROPOUT_INLINE Word bits(std::uint32_t low, std::uint32_t high, Word j) {
  Word x = low + j * 0x9E3779B9u;
  x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
  x ^= high;
  x = (x ^ (x >> 13)) * 0xC2B2AE35u;
  return x ^ (x >> 16);
}

// MaskDraw::base and ::threshold of a mask with drop probability p.
FATHOM_DROPOUT_INLINE std::uint64_t mask_base(std::uint64_t seed, std::uint64_t step, std::uint32_t site) {
  return mix64(mix64(mix64(seed) ^ step) ^ site);
}
// p in [0, 1): rounded to the nearest of 2^32 steps.
FATHOM_DROPOUT_INLINE std::uint32_t threshold(double p) { return static_cast<std::uint32_t>(p * 4294967296.0 + 0.5); }

}  // namespace dropout_hash
}  // namespace fathom::trainer
