// The same products with both factors rounded to bfloat16 and sums in float32 (vdpbf16ps). A panel is [k / 2, kPanel]
// pairs of neighbours in k; rows are rounded and brought into the same order, [k / 2, rows of a tile], block by block.

constexpr int kPairRows = 14;

std::int64_t packed_floats_bf16(std::int64_t n, std::int64_t k) { return packed_floats(n, (k + 1) / 2); }

void pack_bf16(float* to, const float* b, std::int64_t n, std::int64_t k, std::int64_t n_stride,
               std::int64_t k_stride) {
  for (std::int64_t j = 0; j < n; j += kPanel) {
    for (std::int64_t i = 0; i < k; i += 2) {
      for (std::int64_t v = 0; v < kPanel; ++v) {
        const float* at = b + (j + v) * n_stride + i * k_stride;
        std::uint32_t pair = j + v < n ? rounded(at[0]) : 0U;
        if (j + v < n && i + 1 < k) pair |= rounded(at[k_stride]) << 16;
        __builtin_memcpy(to++, &pair, 4);
      }
    }
  }
}

// One tile of rows, rounded: [k / 2, kPairRows] pairs. Writes two words beyond the end.
FATHOM_INLINE void pair_rows(std::uint32_t* to, const float* a, std::int64_t stride, std::int64_t rows,
                             std::int64_t k) {
  for (std::int64_t i = 0; i < k; i += 32) {
    Vec lines[16];
    for (int r = 0; r < 16; ++r) {
      const float* from = a + (r < rows ? r : 0) * stride + i;
      // So many rows at once are more than the processor foresees.
      __builtin_prefetch(from + 64);
      __builtin_prefetch(from + 80);
      lines[r] = reinterpret_cast<Vec>(_mm512_cvtne2ps_pbh(load_some(from + 16, k - i - 16), load_some(from, k - i)));
    }
    transpose_block(lines);
    for (std::int64_t q = 0; q < 16 && i + 2 * q < k; ++q)
      _mm512_storeu_ps(to + (i / 2 + q) * kPairRows, reinterpret_cast<__m512>(lines[q]));
  }
}

template <int R, bool with_times>
__attribute__((noinline)) void tile_bf16(const ProductArgs& p, const std::uint32_t* a, const Panel<std::uint32_t> panel,
                                         float* c, std::int64_t columns) {
  Vec sums[R][2];
  take_sums<R>(p, sums, c, columns);
  panel.template over<R, with_times>((p.k + 1) / 2, [&](std::int64_t k) FATHOM_ALWAYS {
    const auto left = reinterpret_cast<__m512bh>(_mm512_loadu_si512(panel.b + k * kPanel));
    const auto right = reinterpret_cast<__m512bh>(_mm512_loadu_si512(panel.b + k * kPanel + 16));
    for (int r = 0; r < R; ++r) {
      const auto pair = reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(a[k * kPairRows + r])));
      sums[r][0] = reinterpret_cast<Vec>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sums[r][0]), pair, left));
      sums[r][1] = reinterpret_cast<Vec>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sums[r][1]), pair, right));
    }
  });
  put_sums<R>(p, sums, c, columns);
}

std::int64_t product_scratch_bf16(std::int64_t k) {
  const std::int64_t tile = (k + 1) / 2 * kPairRows;
  return tile > kBlockFloats ? tile + 16 : kBlockFloats + 16;
}

void product_bf16(const ProductArgs& all, float* scratch, std::int64_t first, std::int64_t last) {
  const ProductArgs p = rows_between(all, first, last);
  auto* paired = reinterpret_cast<std::uint32_t*>(scratch);
  const std::int64_t size = (p.k + 1) / 2 * kPairRows;
  const EvenTiles tiles(p.rows, kPairRows);
  over_tiles(
      p, kBlockFloats, kPairRows * p.k, tiles.count,
      [&](std::int64_t at, std::int64_t end) {
        for (std::int64_t t = at; t < end; ++t)
          pair_rows(paired + (t - at) * size, p.a + tiles.first(t) * p.a_stride, p.a_stride, tiles.rows(t), p.k);
      },
      [&](std::int64_t t, std::int64_t j, std::int64_t slot) {
        const std::int64_t columns = p.n - j < kPanel ? p.n - j : kPanel;
        const std::int64_t row = tiles.first(t), rows = tiles.rows(t);
        float* c = p.c + row * p.c_stride + j;
        want(c, p.c_stride, rows);
        if (p.y && p.y != p.c) want(p.y + row * p.y_stride + j, p.y_stride, rows);
        const Panel<std::uint32_t> panel(p, (p.k + 1) / 2, row, j, slot);
        const std::uint32_t* a = paired + slot * size;
        with_rows<kPairRows>(rows, [&](auto count) {
          constexpr int kRows = decltype(count)::value;
          p.times ? tile_bf16<kRows, true>(p, a, panel, c, columns) : tile_bf16<kRows, false>(p, a, panel, c, columns);
        });
        if (p.y) finish_tile(p, c, p.y + row * p.y_stride + j, j, columns, rows);
      });
}
