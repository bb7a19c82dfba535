// Loops over tokens: embeddings, LayerNorm with what stands before it, activations. See kernels.hpp.

void embed(const EmbedArgs& a, std::int64_t first, std::int64_t last) {
  for (std::int64_t t = first; t < last; ++t) {
    const float* word = a.words + a.ids[t] * a.width;
    const float* type = a.types ? a.types + a.type_ids[t] * a.width : nullptr;
    const float* position = a.positions + a.position_ids[t] * a.width;
    float* out = a.out + t * a.width;
    for (std::int64_t j = 0; j < a.width; j += kLanes) {
      const std::int64_t n = a.width - j;
      Vec sum = load(word + j, n);
      if (type) sum += load(type + j, n);
      store(out + j, sum + load(position + j, n), n);
    }
  }
}

// sum (and part) of one token into `sum`; returns the total over the row.
FATHOM_INLINE float sum_row(const NormArgs& a, std::int64_t t, float* sum) {
  const std::int64_t at = t * a.width;
  const std::uint64_t key = line_of(a.mask, a.places, t);
  Vec all = {};
  for (std::int64_t j = 0; j < a.width; j += kLanes) {
    const std::int64_t n = a.width - j;
    Vec x = load(a.product + at + j, n);
    if (a.bias) x += load(a.bias + j, n);
    x *= a.scale;
    if (a.mask.on) x *= mask_at(key, j, a.mask);
    if (a.part) store(a.part + at + j, x, n);
    if (a.residual) x += load(a.residual + at + j, n);
    if (a.more) x += load(a.more + at + j, n);
    if (!sum) continue;
    store(sum + j, x, n);
    all += x;
  }
  return total(all);
}

void norm(const NormArgs& a, std::int64_t first, std::int64_t last) {
  const float width = static_cast<float>(a.width);
  for (std::int64_t t = first; t < last; ++t) {
    const std::int64_t at = t * a.width;
    const bool normed = a.y != nullptr && a.gamma != nullptr;
    float* sum = a.sum ? a.sum + at : normed ? a.y + at : nullptr;
    const float mean = sum_row(a, t, sum) / width;
    if (!normed) continue;
    Vec squares = {};
    for (std::int64_t j = 0; j < a.width; j += kLanes) {
      const std::int64_t n = a.width - j;
      Vec x = load(sum + j, n) - mean;
      if (n < kLanes) x = load(reinterpret_cast<const float*>(&x), n);
      squares += x * x;
    }
    const float deviation = 1.0F / __builtin_sqrtf(total(squares) / width + a.eps);
    if (a.stats) {
      a.stats[2 * t] = mean;
      a.stats[2 * t + 1] = deviation;
    }
    const std::uint64_t key = line_of(a.mask_after, a.places, t);
    for (std::int64_t j = 0; j < a.width; j += kLanes) {
      const std::int64_t n = a.width - j;
      Vec y = (load(sum + j, n) - mean) * deviation * load(a.gamma + j, n) + load(a.beta + j, n);
      if (a.mask_after.on) y *= mask_at(key, j, a.mask_after);
      store(a.y + at + j, y, n);
    }
  }
}

// d_sum of one token through LayerNorm: deviation * (g - mean(g) - x̂ mean(g x̂)) with g = gamma * d_y.
FATHOM_INLINE void norm_back_row(const NormBackArgs& a, std::int64_t t) {
  const std::int64_t at = t * a.width;
  const float mean = a.gamma ? a.stats[2 * t] : 0.0F, deviation = a.gamma ? a.stats[2 * t + 1] : 0.0F;
  float mean_g = 0, mean_gx = 0;
  if (a.gamma) {
    Vec g_all = {}, gx_all = {};
    for (std::int64_t j = 0; j < a.width; j += kLanes) {
      const std::int64_t n = a.width - j;
      const Vec g = load(a.d_y + at + j, n) * load(a.gamma + j, n);
      g_all += g;
      gx_all += g * ((load(a.sum + at + j, n) - mean) * deviation);
    }
    mean_g = total(g_all) / static_cast<float>(a.width);
    mean_gx = total(gx_all) / static_cast<float>(a.width);
  }
  const std::uint64_t key = a.d_part ? line_of(a.mask, a.places, t) : 0;
  for (std::int64_t j = 0; j < a.width; j += kLanes) {
    const std::int64_t n = a.width - j;
    Vec d = load(a.d_y + at + j, n);
    if (a.gamma) {
      const Vec x = (load(a.sum + at + j, n) - mean) * deviation;
      d = deviation * (d * load(a.gamma + j, n) - mean_g - x * mean_gx);
    }
    if (a.add) d += load(a.add + at + j, n);
    if (a.d_sum) store(a.d_sum + at + j, d, n);
    if (!a.d_part) continue;
    d *= a.scale;
    if (a.mask.on) d *= mask_at(key, j, a.mask);
    store(a.d_part + at + j, d, n);
  }
}

void norm_back(const NormBackArgs& a, std::int64_t first, std::int64_t last) {
  for (std::int64_t t = first; t < last; ++t) norm_back_row(a, t);
}

struct Point {
  Vec value, slope;
};

FATHOM_INLINE Point point(Curve curve, Vec x) {
  constexpr float kRootHalf = 0.70710678118654752F, kRootTwoPi = 0.39894228040143268F, kTanh = 0.79788456080286536F;
  switch (curve) {
    case Curve::relu:
      return {choose(x < 0.0F, Vec{}, x), choose(x > 0.0F, spread(1.0F), Vec{})};
    case Curve::gelu: {
      const Vec share = 0.5F + 0.5F * error_function(x * kRootHalf);
      return {x * share, share + x * kRootTwoPi * exponential(-0.5F * x * x)};
    }
    case Curve::gelu_tanh: {
      const Vec t = hyperbolic_tangent(kTanh * (x + 0.044715F * x * x * x));
      return {0.5F * x * (1.0F + t),
              0.5F * (1.0F + t) + 0.5F * x * (1.0F - t * t) * kTanh * (1.0F + 3.0F * 0.044715F * x * x)};
    }
    case Curve::silu: {
      const Vec share = logistic(x);
      return {x * share, share * (1.0F + x * (1.0F - share))};
    }
    case Curve::tanh: {
      const Vec t = hyperbolic_tangent(x);
      return {t, 1.0F - t * t};
    }
    case Curve::identity:
      break;
  }
  return {x, spread(1.0F)};
}

template <Curve curve>
FATHOM_INLINE void activate_rows(const ActivateArgs& a, std::int64_t first, std::int64_t last) {
  for (std::int64_t t = first; t < last; ++t) {
    float *u = a.u + t * a.width, *y = a.y + t * a.width;
    for (std::int64_t j = 0; j < a.width; j += kLanes) {
      const std::int64_t n = a.width - j;
      Vec x = load(u + j, n);
      if (a.bias) x += load(a.bias + j, n);
      const Point at = point(curve, x);
      if (a.derivative) store(u + j, at.slope, n);
      store(y + j, at.value, n);
    }
  }
}

void activate(const ActivateArgs& a, std::int64_t first, std::int64_t last) {
  switch (a.curve) {
    case Curve::identity:
      return activate_rows<Curve::identity>(a, first, last);
    case Curve::relu:
      return activate_rows<Curve::relu>(a, first, last);
    case Curve::gelu:
      return activate_rows<Curve::gelu>(a, first, last);
    case Curve::gelu_tanh:
      return activate_rows<Curve::gelu_tanh>(a, first, last);
    case Curve::silu:
      return activate_rows<Curve::silu>(a, first, last);
    case Curve::tanh:
      return activate_rows<Curve::tanh>(a, first, last);
  }
}

void multiply(float* x, const float* y, std::int64_t first, std::int64_t last) {
  for (std::int64_t i = first; i < last; i += kLanes) {
    const std::int64_t n = last - i;
    store(x + i, load(x + i, n) * load(y + i, n), n);
  }
}
