// Vectors of kLanes floats out of the compiler's vector extensions; included once by each kernels_*.cpp inside its own
// anonymous namespace, which has defined kLanes.
#define FATHOM_INLINE __attribute__((always_inline)) inline

using Vec __attribute__((vector_size(kLanes * 4))) = float;
using Ints __attribute__((vector_size(kLanes * 4))) = std::int32_t;
using Bits __attribute__((vector_size(kLanes * 4))) = std::uint32_t;

FATHOM_INLINE Vec load(const float* p) {
  Vec v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
FATHOM_INLINE void store(float* p, Vec v) { __builtin_memcpy(p, &v, sizeof v); }

// The first n floats, the others zero; and back.
FATHOM_INLINE Vec load(const float* p, std::int64_t n) {
  if (n >= kLanes) return load(p);
  Vec v = {};
  for (std::int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
FATHOM_INLINE void store(float* p, Vec v, std::int64_t n) {
  if (n >= kLanes) return store(p, v);
  for (std::int64_t i = 0; i < n; ++i) p[i] = v[i];
}

FATHOM_INLINE Vec spread(float x) { return Vec{} + x; }
FATHOM_INLINE Vec choose(Ints mask, Vec yes, Vec no) { return mask ? yes : no; }
FATHOM_INLINE Vec larger(Vec a, Vec b) { return choose(a > b, a, b); }
// NaN stays NaN, here and in everything below: a diverged job must be seen.
FATHOM_INLINE Vec clamped(Vec x, float low, float high) {
  x = choose(x < low, spread(low), x);
  return choose(x > high, spread(high), x);
}

// Pairwise, so that the order is the same for every caller.
FATHOM_INLINE float total(Vec v) {
  float part[kLanes];
  __builtin_memcpy(part, &v, sizeof v);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) part[i] += part[i + width];
  }
  return part[0];
}
FATHOM_INLINE float largest(Vec v) {
  float most = v[0];
  for (int i = 1; i < kLanes; ++i) most = v[i] > most ? v[i] : most;
  return most;
}

// e^x to 2 ulp for x in [-87, 88], the ends beyond. Cody-Waite reduction, Cephes' polynomial (expf).
FATHOM_INLINE Vec exponential(Vec x) {
  x = clamped(x, -87.0F, 88.0F);
  // Adding 1.5 * 2^23 rounds to a whole number, whose low bits then stand at the end of the mantissa.
  const Vec shifted = x * 1.44269504088896341F + 12582912.0F;
  const Vec n = shifted - 12582912.0F;
  const Vec r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  Vec p = spread(1.9875691500e-4F);
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const Bits power = reinterpret_cast<Bits>(shifted) << 23;
  return reinterpret_cast<Vec>(reinterpret_cast<Bits>(p) + power);
}

// erf to 4e-7, as a rational function on [-4, 4]: the one that XLA and Eigen use.
FATHOM_INLINE Vec error_function(Vec x) {
  x = clamped(x, -4.0F, 4.0F);
  const Vec s = x * x;
  Vec p = spread(-2.72614225801306e-10F);
  p = p * s + 2.77068142495902e-08F;
  p = p * s - 2.10102402082508e-06F;
  p = p * s - 5.69250639462346e-05F;
  p = p * s - 7.34990630326855e-04F;
  p = p * s - 2.95459980854025e-03F;
  p = p * s - 1.60960333262415e-02F;
  Vec q = spread(-1.45660718464996e-05F);
  q = q * s - 2.13374055278905e-04F;
  q = q * s - 1.68282697438203e-03F;
  q = q * s - 7.37332916720468e-03F;
  q = q * s - 1.42647390514189e-02F;
  return x * p / q;
}

FATHOM_INLINE Vec logistic(Vec x) { return 1.0F / (1.0F + exponential(-x)); }
FATHOM_INLINE Vec hyperbolic_tangent(Vec x) { return 2.0F * logistic(2.0F * x) - 1.0F; }

// Mask elements j … j + kLanes - 1 of the line with this key: `kept`, or 0 where dropped.
FATHOM_INLINE Vec mask_at(std::uint64_t key, std::int64_t j, const Mask& mask) {
  Bits places;
  for (int i = 0; i < kLanes; ++i) places[i] = static_cast<std::uint32_t>(j + i);
  const Bits bits = dropout_hash::bits(static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32), places);
  return choose(bits >= mask.threshold, spread(mask.kept), Vec{});
}

FATHOM_INLINE std::uint64_t line_of(const Mask& mask, const Place* places, std::int64_t token) {
  if (!mask.on) return 0;
  const Place place = places[token];
  return dropout_hash::line_key(mask.base, static_cast<std::uint64_t>(place.row), 0,
                                static_cast<std::uint64_t>(place.position));
}
