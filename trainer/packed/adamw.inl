// AdamW over a stretch of elements. See kernels.hpp.

// Without errno this loop is one instruction.
FATHOM_INLINE Vec root(Vec x) {
  float lanes[kLanes];
  store(lanes, x);
  for (float& lane : lanes) lane = __builtin_sqrtf(lane);
  return load(lanes);
}

// A product rounded before something is added to it, as LibTorch's own loop has it: over hundreds of updates the
// difference to a fused one would add up.
FATHOM_INLINE Vec rounded(Vec x) {
#ifdef __FMA__
  asm("" : "+v"(x));
#endif
  return x;
}

// What is not a whole vector goes through the same operations, so that no bit depends on where a range begins or ends.
void adamw(const AdamWArgs& a, std::int64_t first, std::int64_t last) {
  for (std::int64_t i = first; i < last; i += kLanes) {
    const std::int64_t n = last - i;
    const Vec g = rounded(load(a.gradient + i, n) * a.clip);
    Vec m = load(a.mean + i, n), v = load(a.square + i, n);
    m += a.mean_rate * (g - m);
    v = rounded(v * a.square_keep) + rounded(a.square_rate * g * g);
    store(a.mean + i, m, n);
    store(a.square + i, v, n);
    const Vec size = root(v) / a.root_correction + a.eps;
    store(a.value + i, rounded(load(a.value + i, n) * a.keep) - a.rate * m / size, n);
  }
}
