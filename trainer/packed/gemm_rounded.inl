// Products with both factors rounded to bfloat16 and sums in float32, by float32 arithmetic on values that were
// rounded: what gemm_bf16.inl computes but for the order of sums. For processors with fewer units for dot products of
// bfloat16 than for float32. A panel lies as in gemm.inl.

void pack_rounded(float* to, const float* b, std::int64_t n, std::int64_t k, std::int64_t n_stride,
                  std::int64_t k_stride) {
  pack(to, b, n, k, n_stride, k_stride);
  for (std::int64_t i = 0; i < packed_floats(n, k); ++i) {
    const std::uint32_t bits = rounded(to[i]) << 16;
    __builtin_memcpy(to + i, &bits, 4);
  }
}

FATHOM_INLINE void round_row(float* to, const float* from, std::int64_t k) {
  for (std::int64_t i = 0; i < k; i += 16) {
    const auto halves = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(load_some(from + i, k - i)));
    store(to + i, reinterpret_cast<Vec>(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16)), k - i);
  }
}

std::int64_t product_scratch_rounded(std::int64_t k) {
  return kTileRows * k > kBlockFloats ? kTileRows * k : kBlockFloats;
}

void product_rounded(const ProductArgs& all, float* scratch, std::int64_t first, std::int64_t last) {
  const ProductArgs p = rows_between(all, first, last);
  ProductArgs own = p;
  own.a_stride = p.k;
  const EvenTiles tiles(p.rows, kTileRows);
  over_tiles(
      p, kBlockFloats, kTileRows * p.k, tiles.count,
      [&](std::int64_t at, std::int64_t end) {
        for (std::int64_t t = at; t < end; ++t) {
          for (std::int64_t r = 0; r < tiles.rows(t); ++r)
            round_row(scratch + ((t - at) * kTileRows + r) * p.k, p.a + (tiles.first(t) + r) * p.a_stride, p.k);
        }
      },
      [&](std::int64_t t, std::int64_t j, std::int64_t slot) {
        panel_of_tile(own, scratch + slot * kTileRows * p.k, tiles.first(t), j, tiles.rows(t), slot);
      });
}
