// AdapterFusion's attention over the members, per token. See FusionArgs.

FATHOM_INLINE float dot(const float* a, const float* b, std::int64_t count) {
  Vec sums = {};
  for (std::int64_t j = 0; j < count; j += kLanes) sums += load(a + j, count - j) * load(b + j, count - j);
  return total(sums);
}

FATHOM_INLINE void scaled_copy(float* to, const float* from, float scale, std::int64_t count) {
  for (std::int64_t j = 0; j < count; j += kLanes) store(to + j, load(from + j, count - j) * scale, count - j);
}

// The mask's element of member i, as scalar: there are few members.
FATHOM_INLINE float mask_of(const Mask& mask, std::uint64_t key, std::int64_t i) {
  if (!mask.on) return 1;
  const auto bits = dropout_hash::bits(static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32),
                                       static_cast<std::uint32_t>(i));
  return bits >= mask.threshold ? mask.kept : 0.0F;
}

void fuse(const FusionArgs& a, std::int64_t first, std::int64_t last) {
  const std::int64_t all = a.offsets[a.members];
  for (std::int64_t t = first; t < last; ++t) {
    const std::uint64_t key = line_of(a.mask, a.places, t);
    float* weights = a.weights + t * a.members;
    float top = -3e38F;
    for (std::int64_t i = 0; i < a.members; ++i) {
      const std::int64_t at = t * all + a.offsets[i];
      float score =
          dot(a.inner + at, a.query_up + at, a.offsets[i + 1] - a.offsets[i]) + a.query_bias[t * a.members + i];
      if (a.shift) score += a.shift[t];
      weights[i] = score * mask_of(a.mask, key, i);
      // Not a comparison that a NaN loses: it must come out again.
      top = weights[i] <= top ? top : weights[i];
    }
    float sum = 0;
    for (std::int64_t i = 0; i < a.members; ++i) {
      weights[i] = exponential(spread(weights[i] - top))[0];
      sum += weights[i];
    }
    for (std::int64_t i = 0; i < a.members; ++i) {
      weights[i] /= sum;
      const std::int64_t at = t * all + a.offsets[i];
      scaled_copy(a.weighted + at, a.inner + at, weights[i], a.offsets[i + 1] - a.offsets[i]);
    }
  }
}

void fuse_back(const FusionArgs& a, std::int64_t first, std::int64_t last) {
  const std::int64_t all = a.offsets[a.members];
  for (std::int64_t t = first; t < last; ++t) {
    const std::uint64_t key = line_of(a.mask, a.places, t);
    const float* weights = a.weights + t * a.members;
    float* d_scores = a.d_scores + t * a.members;
    float mean = 0;
    for (std::int64_t i = 0; i < a.members; ++i) {
      const std::int64_t at = t * all + a.offsets[i];
      d_scores[i] = dot(a.inner + at, a.d_up + at, a.offsets[i + 1] - a.offsets[i]) + a.d_bias[t * a.members + i];
      mean += d_scores[i] * weights[i];
    }
    for (std::int64_t i = 0; i < a.members; ++i) {
      d_scores[i] = weights[i] * (d_scores[i] - mean) * mask_of(a.mask, key, i);
      const std::int64_t at = t * all + a.offsets[i], count = a.offsets[i + 1] - a.offsets[i];
      scaled_copy(a.d_scored + at, a.inner + at, d_scores[i], count);
      if (!a.d_inner) continue;
      for (std::int64_t j = 0; j < count; j += kLanes) {
        const std::int64_t n = count - j;
        store(a.d_inner + at + j, load(a.d_up + at + j, n) * weights[i] + load(a.query_up + at + j, n) * d_scores[i],
              n);
      }
    }
  }
}
