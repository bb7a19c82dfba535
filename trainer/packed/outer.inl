// Sums of outer products: tiles of c in registers, as in gemm.inl, but with factors and lines where they lie. See
// kernels.hpp.

// Rows that go through all tiles before the next ones come, so that they stay in the second cache.
constexpr std::int64_t kOuterRows = 128;

template <int R>
__attribute__((noinline)) void outer_tile(const ProductArgs& p, const float* b, std::int64_t b_stride, float* c,
                                          std::int64_t columns) {
  Vec sums[R][2];
  take_sums<R>(p, sums, c, columns);
  for (std::int64_t k = 0; k < p.k; ++k) {
    const Vec left = load(b + k * b_stride), right = load(b + k * b_stride + kLanes);
    for (int r = 0; r < R; ++r) {
      const float factor = p.a[k * p.a_stride + r];
      sums[r][0] += factor * left;
      sums[r][1] += factor * right;
    }
  }
  put_sums<R>(p, sums, c, columns);
}

std::int64_t outer_units(std::int64_t m, std::int64_t n) {
  return EvenTiles(m, kTileRows).count * ((n + kPanel - 1) / kPanel);
}

// Units are tiles of c: all of the first kPanel columns, then of the next. The last columns may be fewer, and are put
// beside zeros first.
void outer(const OuterArgs& o, std::int64_t first, std::int64_t last) {
  alignas(64) float edge[kOuterRows * kPanel] = {};
  const EvenTiles tiles(o.m, kTileRows);
  const std::int64_t whole = o.n / kPanel * kPanel, over = o.n - whole;
  const bool to_edge = over > 0 && last > whole / kPanel * tiles.count;
  for (std::int64_t start = 0; start == 0 || start < o.k; start += kOuterRows) {
    ProductArgs p;
    p.k = o.k - start < kOuterRows ? o.k - start : kOuterRows;
    p.a_stride = o.m;
    p.c_stride = o.n;
    p.add = o.add || start > 0;
    const float* lines = o.b + start * o.n;
    for (std::int64_t k = 0; to_edge && k < p.k; ++k)
      __builtin_memcpy(edge + k * kPanel, lines + k * o.n + whole, static_cast<std::size_t>(over) * sizeof(float));
    for (std::int64_t unit = first; unit < last; ++unit) {
      const std::int64_t j = unit / tiles.count * kPanel, tile = unit % tiles.count, row = tiles.first(tile);
      p.a = o.a + start * o.m + row;
      const bool full = j < whole;
      with_rows<kTileRows>(tiles.rows(tile), [&](auto count) {
        outer_tile<decltype(count)::value>(p, full ? lines + j : edge, full ? o.n : kPanel, o.c + row * o.n + j,
                                           full ? kPanel : over);
      });
    }
  }
}
