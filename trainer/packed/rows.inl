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
  constexpr float kRootTwoPi = 0.39894228040143268F, kTanh = 0.79788456080286536F;
  switch (curve) {
    case Curve::relu:
      return {choose(x < 0.0F, Vec{}, x), choose(x > 0.0F, spread(1.0F), Vec{})};
    case Curve::gelu: {
      const Vec gauss = exponential<true>(-0.5F * x * x);
      const Vec share = normal_share(x, gauss);
      return {x * share, share + x * kRootTwoPi * gauss};
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

// n floats, or all kLanes.
template <Curve curve, bool derivative>
FATHOM_INLINE void activate_some(float* u, float* y, const float* bias, std::int64_t n) {
  Vec x = load(u, n);
  if (bias) x += load(bias, n);
  const Point at = point(curve, x);
  if (derivative) store(u, at.slope, n);
  store(y, at.value, n);
}

// y = curve(u + bias) along one line; u becomes the slope where `derivative`.
template <Curve curve, bool derivative>
FATHOM_INLINE void activate_line(float* u, float* y, const float* bias, std::int64_t width) {
  std::int64_t j = 0;
  // Whole vectors apart, so that nothing in their loop makes the compiler put its constants away.
  for (; j + kLanes <= width; j += kLanes)
    activate_some<curve, derivative>(u + j, y + j, bias ? bias + j : bias, kLanes);
  if (j < width) activate_some<curve, derivative>(u + j, y + j, bias ? bias + j : bias, width - j);
}

template <Curve c, bool d>
struct CurveOf {
  static constexpr Curve curve = c;
  static constexpr bool derivative = d;
};

// Calls body with the curve as a constant.
template <bool derivative, class Body>
FATHOM_INLINE void with_curve(Curve curve, const Body& body) {
  switch (curve) {
    case Curve::identity:
      return body(CurveOf<Curve::identity, derivative>{});
    case Curve::relu:
      return body(CurveOf<Curve::relu, derivative>{});
    case Curve::gelu:
      return body(CurveOf<Curve::gelu, derivative>{});
    case Curve::gelu_tanh:
      return body(CurveOf<Curve::gelu_tanh, derivative>{});
    case Curve::silu:
      return body(CurveOf<Curve::silu, derivative>{});
    case Curve::tanh:
      return body(CurveOf<Curve::tanh, derivative>{});
  }
}

// Lines [0, rows) of u and y, with their strides; a line of bias for all, or null.
struct Lines {
  float *u, *y;
  std::int64_t u_stride, y_stride;
  const float* bias;
  std::int64_t rows, width;
};

template <Curve curve, bool derivative>
__attribute__((noinline)) void activate_lines(const Lines& l) {
  for (std::int64_t r = 0; r < l.rows; ++r)
    activate_line<curve, derivative>(l.u + r * l.u_stride, l.y + r * l.y_stride, l.bias, l.width);
}

void activate_all(Curve curve, bool derivative, const Lines& lines) {
  const auto body = [&](auto which) { activate_lines<decltype(which)::curve, decltype(which)::derivative>(lines); };
  derivative ? with_curve<true>(curve, body) : with_curve<false>(curve, body);
}

void activate(const ActivateArgs& a, std::int64_t first, std::int64_t last) {
  const std::int64_t at = first * a.width;
  activate_all(a.curve, a.derivative, {a.u + at, a.y + at, a.width, a.width, a.bias, last - first, a.width});
}

// V vectors of columns.
template <int V>
FATHOM_INLINE void sum_columns(float* out, const float* x, std::int64_t rows, std::int64_t width) {
  Vec sums[V];
  for (int v = 0; v < V; ++v) sums[v] = load(out + v * kLanes);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (int v = 0; v < V; ++v) sums[v] += load(x + row * width + v * kLanes);
  }
  for (int v = 0; v < V; ++v) store(out + v * kLanes, sums[v]);
}

void sum_rows(float* out, const float* x, std::int64_t rows, std::int64_t width, std::int64_t first,
              std::int64_t last) {
  std::int64_t j = first;
  for (; j + 4 * kLanes <= last; j += 4 * kLanes) sum_columns<4>(out + j, x + j, rows, width);
  for (; j + kLanes <= last; j += kLanes) sum_columns<1>(out + j, x + j, rows, width);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t rest = j; rest < last; ++rest) out[rest] += x[row * width + rest];
  }
}

void multiply(float* x, const float* y, std::int64_t first, std::int64_t last) {
  for (std::int64_t i = first; i < last; i += kLanes) {
    const std::int64_t n = last - i;
    store(x + i, load(x + i, n) * load(y + i, n), n);
  }
}
