// The same products on AMX's tiles: 16 rows of 64 bytes each, and one instruction for 16 x 16 sums over 32 of k. A unit
// is two tiles of rows by a panel of two tiles of columns, summed in four tiles over the whole depth; rows that are not
// there are zeros, so that every row meets the same instructions wherever it stands.

constexpr std::int64_t kSide = 16;          // rows of a tile, and its columns of float32
constexpr std::int64_t kDepth = 32;         // of k that a tile of factors holds
constexpr std::int64_t kTileWords = 256;    // pairs of factors, or sums, of a tile
constexpr std::int64_t kStrip = 2 * kSide;  // rows of a unit
// Rounded rows that go through a panel before the next panel comes: in pairs. Half of a second cache, with a matrix
// beside it.
constexpr std::int64_t kBlockPairs = 128 * 1024;
static_assert(kPanel == 2 * kSide);

// Tiles of factors along k.
constexpr std::int64_t tiles_of(std::int64_t k) { return (k + kDepth - 1) / kDepth; }

std::int64_t packed_floats_amx(std::int64_t n, std::int64_t k) {
  return (n + kPanel - 1) / kPanel * tiles_of(k) * 2 * kTileWords;
}

// Panel by panel and step by step two tiles, each [16 pairs of neighbours in k, 16 columns].
void pack_amx(float* to, const float* b, std::int64_t n, std::int64_t k, std::int64_t n_stride, std::int64_t k_stride) {
  const auto at = [&](std::int64_t column, std::int64_t i) {
    return column < n && i < k ? rounded(b[column * n_stride + i * k_stride]) : 0U;
  };
  for (std::int64_t j = 0; j < n; j += kPanel) {
    for (std::int64_t step = 0; step < tiles_of(k); ++step) {
      for (std::int64_t word = 0; word < 2 * kTileWords; ++word) {
        const std::int64_t column = j + word / kTileWords * kSide + word % kSide;
        const std::int64_t i = step * kDepth + word % kTileWords / kSide * 2;
        const std::uint32_t pair = at(column, i) | at(column, i + 1) << 16;
        __builtin_memcpy(to++, &pair, 4);
      }
    }
  }
}

// One unit's rows, rounded: step by step two tiles, each [16 rows, 32 of k].
FATHOM_INLINE void round_rows(std::uint32_t* to, const float* a, std::int64_t stride, std::int64_t rows,
                              std::int64_t k) {
  for (std::int64_t r = 0; r < kStrip; ++r, a += stride, to += kSide) {
    std::uint32_t* line = to;
    for (std::int64_t i = 0; i < k; i += kDepth, line += 2 * kTileWords) {
      const __m512 low = r < rows ? load_some(a + i, k - i) : _mm512_setzero_ps();
      const __m512 high = r < rows ? load_some(a + i + kSide, k - i - kSide) : _mm512_setzero_ps();
      _mm512_storeu_si512(line, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
    }
  }
}

// c *= times, along the lines of a tile.
FATHOM_INLINE void scale_tile(const ProductArgs& p, float* c, std::int64_t columns, std::int64_t rows) {
  const float* times = p.times + (c - p.c);
  for (std::int64_t r = 0; r < rows; ++r, c += p.c_stride, times += p.c_stride) {
    std::int64_t v = 0;
    for (; v + kLanes <= columns; v += kLanes) store(c + v, load(c + v) * load(times + v));
    if (v < columns) store(c + v, load(c + v, columns - v) * load(times + v, columns - v), columns - v);
  }
}

// Where one unit's sums go: to c, or onto what stands there, and on into an activation.
struct UnitEnd {
  const float* sums = nullptr;  // [32, 32]
  float *c = nullptr, *y = nullptr;
  std::int64_t j = 0, columns = 0, rows = 0;
  std::int64_t next = 0;  // row

  void take(const ProductArgs& p, std::int64_t count) {
    const std::int64_t end = next + count < rows ? next + count : rows;
    if (next >= end) return;
    for (std::int64_t r = next; r < end; ++r) put_line(p, sums + r * kPanel, c + r * p.c_stride);
    if (p.times) scale_tile(p, c + next * p.c_stride, columns, end - next);
    if (y) finish_tile(p, c + next * p.c_stride, y + next * p.y_stride, j, columns, end - next);
    next = end;
  }

 private:
  void put_line(const ProductArgs& p, const float* from, float* to) const {
    if (columns >= kPanel) {
      const Vec left = load(from), right = load(from + kLanes);
      store(to, p.add ? load(to) + left : left);
      store(to + kLanes, p.add ? load(to + kLanes) + right : right);
      return;
    }
    for (std::int64_t v = 0; v < columns; v += kLanes) {
      const Vec x = load(from + v);
      store(to + v, p.add ? load(to + v, columns - v) + x : x, columns - v);
    }
  }
};

// sums [32, 32] = rows · panel, or their first 16 rows only. The tiles work beside the processor's other units: what is
// left to do for the unit before is done meanwhile, some lines a step.
template <bool both>
FATHOM_INLINE void sum_tiles(const ProductArgs& p, float* sums, const std::uint32_t* a, const std::uint32_t* b,
                             std::int64_t steps, UnitEnd& before) {
  constexpr std::int64_t kLine = 4 * kSide, kSumLine = 4 * kPanel;  // bytes
  const std::int64_t lines = (before.rows + steps - 1) / steps;
  _tile_zero(0);
  _tile_zero(1);
  if (both) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (std::int64_t step = 0; step < steps; ++step, a += 2 * kTileWords, b += 2 * kTileWords) {
    // Rows pass by once a panel; the panel is to stay in the first cache.
    _tile_stream_loadd(4, a, kLine);
    _tile_loadd(6, b, kLine);
    _tile_loadd(7, b + kTileWords, kLine);
    if (both) _tile_stream_loadd(5, a + kTileWords, kLine);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if (both) {
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
    before.take(p, lines);
  }
  _tile_stored(0, sums, kSumLine);
  _tile_stored(1, sums + kSide, kSumLine);
  if (both) {
    _tile_stored(2, sums + kSide * kPanel, kSumLine);
    _tile_stored(3, sums + kSide * kPanel + kSide, kSumLine);
  }
}

std::int64_t product_scratch_amx(std::int64_t k) {
  const std::int64_t unit = tiles_of(k) * 2 * kTileWords;
  return 2 * kStrip * kPanel + (unit > kBlockPairs ? unit : kBlockPairs);
}

// Of all eight tiles: 16 rows of 64 bytes. The processor's format: palette, row to start at, bytes a row, rows.
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start = 0, reserved[14] = {};
  std::uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr TileConfig kTileConfig;

void product_amx(const ProductArgs& all, float* scratch, std::int64_t first, std::int64_t last) {
  const ProductArgs p = rows_between(all, first, last);
  // LibTorch's own products use tiles, too: each leaves none behind.
  _tile_loadconfig(&kTileConfig);
  auto* rounded_rows = reinterpret_cast<std::uint32_t*>(scratch + 2 * kStrip * kPanel);
  const std::int64_t steps = tiles_of(p.k), size = steps * 2 * kTileWords;
  const auto rows_of = [&](std::int64_t t) { return p.rows - t * kStrip < kStrip ? p.rows - t * kStrip : kStrip; };
  float* sums[2] = {scratch, scratch + kStrip * kPanel};  // of this unit and of the one before
  UnitEnd before;
  over_tiles(
      p, kBlockPairs, size, (p.rows + kStrip - 1) / kStrip,
      [&](std::int64_t at, std::int64_t end) {
        for (std::int64_t t = at; t < end; ++t)
          round_rows(rounded_rows + (t - at) * size, p.a + t * kStrip * p.a_stride, p.a_stride, rows_of(t), p.k);
        // The compiler does not see what the tiles read.
        __asm__ volatile("" ::: "memory");
      },
      [&](std::int64_t t, std::int64_t j, std::int64_t slot) {
        const std::int64_t columns = p.n - j < kPanel ? p.n - j : kPanel, rows = rows_of(t);
        float* c = p.c + t * kStrip * p.c_stride + j;
        float* y = p.y ? p.y + t * kStrip * p.y_stride + j : nullptr;
        // An activation takes so long that its lines come in time.
        if (!y) want(c, p.c_stride, rows);
        const std::uint32_t* a = rounded_rows + slot * size;
        const auto* b = static_cast<const std::uint32_t*>(p.b) + j * steps * kSide;
        rows > kSide ? sum_tiles<true>(p, sums[0], a, b, steps, before)
                     : sum_tiles<false>(p, sums[0], a, b, steps, before);
        before = {sums[0], c, y, j, columns, rows};
        sums[0] = sums[1];
        sums[1] = const_cast<float*>(before.sums);
      });
  before.take(p, before.rows);
  _tile_release();
}
