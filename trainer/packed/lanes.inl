// Vectors of kLanes floats out of the compiler's vector extensions; included once by each kernels_*.cpp inside its own
// anonymous namespace, which has defined kLanes.
#define FATHOM_INLINE __attribute__((always_inline)) inline
#define FATHOM_ALWAYS __attribute__((always_inline))  // behind the parameters of a lambda

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

// 0, 1, …, kLanes - 1 as template arguments.
template <int... I>
struct Lanes {};
template <int N, int... I>
struct LanesTo : LanesTo<N - 1, N - 1, I...> {};
template <int... I>
struct LanesTo<0, I...> {
  using Type = Lanes<I...>;
};
using AllLanes = LanesTo<kLanes>::Type;

// Lane i becomes what lane i + step is, round the end.
template <int step, int... I>
FATHOM_INLINE Vec turned(Vec v, Lanes<I...> /*all*/) {
  return __builtin_shufflevector(v, v, (I + step) % kLanes...);
}
// Pairwise, so that the order is the same for every caller.
template <int step = kLanes / 2>
FATHOM_INLINE float total(Vec v) {
  v += turned<step>(v, AllLanes());
  if constexpr (step > 1) return total<step / 2>(v);
  return v[0];
}
template <int step = kLanes / 2>
FATHOM_INLINE float largest(Vec v) {
  v = larger(turned<step>(v, AllLanes()), v);
  if constexpr (step > 1) return largest<step / 2>(v);
  return v[0];
}

// kLanes lines of kLanes words become columns: blocks of `step` lanes change places, from 1 lane to half a line.
template <int step, int... I>
FATHOM_INLINE void swap_blocks(Vec& a, Vec& b, Lanes<I...> /*all*/) {
  const Vec low = __builtin_shufflevector(a, b, ((I & step) ? kLanes + I - step : I)...);
  b = __builtin_shufflevector(a, b, ((I & step) ? kLanes + I : I + step)...);
  a = low;
}
template <int step = 1>
FATHOM_INLINE void transpose_block(Vec (&x)[kLanes]) {
  for (int i = 0; i < kLanes; ++i) {
    if ((i & step) == 0) swap_blocks<step>(x[i], x[i + step], AllLanes());
  }
  if constexpr (2 * step < kLanes) transpose_block<2 * step>(x);
}

// e^x to 2 ulp for x in [-80, 88], the ends beyond: products of what is less would be denormal, and slow. Cody-Waite
// reduction, Cephes' polynomial (expf). below_one: x is known not to be above 0.
template <bool below_one = false>
FATHOM_INLINE Vec exponential(Vec x) {
  // NaN stays NaN, here and in everything below: a diverged job must be seen.
  x = choose(x < -80.0F, spread(-80.0F), x);
  if (!below_one) x = choose(x > 88.0F, spread(88.0F), x);
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

// The normal distribution function of x, which is (1 + erf(x / sqrt 2)) / 2, to 1e-7, from gauss = e^(-x²/2), which its
// users need as well. Abramowitz and Stegun 7.1.26.
FATHOM_INLINE Vec normal_share(Vec x, Vec gauss) {
  const Vec size = choose(x < 0.0F, -x, x);
  const Vec t = 1.0F / (0.23164189F * size + 1.0F);  // 0.3275911 / sqrt 2
  Vec p = spread(0.5307027145F);                     // half of each of theirs
  p = p * t - 0.7265760135F;
  p = p * t + 0.7107068705F;
  p = p * t - 0.142248368F;
  p = p * t + 0.127414796F;
  const Vec tail = p * t * gauss;
  return choose(x < 0.0F, tail, 1.0F - tail);
}

FATHOM_INLINE Vec logistic(Vec x) { return 1.0F / (1.0F + exponential(-x)); }
FATHOM_INLINE Vec hyperbolic_tangent(Vec x) { return 2.0F * logistic(2.0F * x) - 1.0F; }

FATHOM_INLINE Bits lane_numbers() {
  // As a constant: a loop over lanes would put them in one by one.
  static constexpr std::uint32_t kFrom0[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  Bits numbers;
  __builtin_memcpy(&numbers, kFrom0, sizeof numbers);
  return numbers;
}

// Mask elements j … j + kLanes - 1 of the line with this key: `kept`, or 0 where dropped.
FATHOM_INLINE Vec mask_at(std::uint64_t key, std::int64_t j, const Mask& mask) {
  const Bits places = lane_numbers() + static_cast<std::uint32_t>(j);
  const Bits bits = dropout_hash::bits(static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32), places);
  return choose(bits >= mask.threshold, spread(mask.kept), Vec{});
}

FATHOM_INLINE std::uint64_t line_of(const Mask& mask, const Place* places, std::int64_t token) {
  if (!mask.on) return 0;
  const Place place = places[token];
  return dropout_hash::line_key(mask.base, static_cast<std::uint64_t>(place.row), 0,
                                static_cast<std::uint64_t>(place.position));
}
