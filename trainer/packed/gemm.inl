// Products with a frozen matrix that lies packed: panels of kPanel columns, each [k, kPanel], the last one filled up
// with zeros. A tile of rows by one panel is summed in registers over the whole depth, so that a row of the result does
// not depend on which rows are computed beside it. See kernels.hpp.

constexpr std::int64_t kPanel = 2 * kLanes;
// Rows of a tile: as many as sums fit into the registers beside one line of the panel and one factor.
constexpr int kTileRows = kLanes == 16 ? 12 : 6;
// Rows that go through a panel before the next panel comes, so that both stay in the second cache: in floats.
constexpr std::int64_t kBlockFloats = 6 * 1024 * 8;

std::int64_t packed_floats(std::int64_t n, std::int64_t k) { return (n + kPanel - 1) / kPanel * kPanel * k; }

void pack(float* to, const float* b, std::int64_t n, std::int64_t k, std::int64_t n_stride, std::int64_t k_stride) {
  for (std::int64_t j = 0; j < n; j += kPanel) {
    for (std::int64_t i = 0; i < k; ++i) {
      for (std::int64_t v = 0; v < kPanel; ++v) *to++ = j + v < n ? b[(j + v) * n_stride + i * k_stride] : 0.0F;
    }
  }
}

// What follows a tile while it is in the first cache.
FATHOM_INLINE void finish_tile(const ProductArgs& p, float* c, float* y, std::int64_t j, std::int64_t columns,
                               std::int64_t rows) {
  activate_all(p.curve, p.derivative, {c, y, p.c_stride, p.y_stride, p.bias ? p.bias + j : nullptr, rows, columns});
}

// The rows [first, last) of a product, as a product.
FATHOM_INLINE ProductArgs rows_between(ProductArgs p, std::int64_t first, std::int64_t last) {
  p.a += first * p.a_stride;
  p.c += first * p.c_stride;
  if (p.y) p.y += first * p.y_stride;
  if (p.times) p.times += first * p.c_stride;
  p.rows = last - first;
  return p;
}

template <int R>
FATHOM_INLINE void take_sums(const ProductArgs& p, Vec (&sums)[R][2], const float* c, std::int64_t columns) {
  for (auto& row : sums) row[0] = row[1] = Vec{};
  if (!p.add) return;
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < 2; ++v) sums[r][v] = load(c + r * p.c_stride + v * kLanes, columns - v * kLanes);
  }
}

template <int R>
FATHOM_INLINE void put_sums(const ProductArgs& p, Vec (&sums)[R][2], float* c, std::int64_t columns) {
  const float* times = p.times + (p.times ? c - p.c : 0);
  // Whole panels without a branch inside: else the sums go through the stack.
  if (columns >= kPanel) {
    if (p.times) {
      for (int r = 0; r < R; ++r) {
        sums[r][0] *= load(times + r * p.c_stride);
        sums[r][1] *= load(times + r * p.c_stride + kLanes);
      }
    }
    for (int r = 0; r < R; ++r) {
      store(c + r * p.c_stride, sums[r][0]);
      store(c + r * p.c_stride + kLanes, sums[r][1]);
    }
    return;
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < 2; ++v) {
      if (p.times) sums[r][v] *= load(times + r * p.c_stride + v * kLanes, columns - v * kLanes);
      store(c + r * p.c_stride + v * kLanes, sums[r][v], columns - v * kLanes);
    }
  }
}

// Asks for the lines that will be written, which are far away as a rule: they come while the tile is summed.
FATHOM_INLINE void want(const float* c, std::int64_t stride, std::int64_t rows) {
  for (std::int64_t r = 0; r < rows; ++r) {
    __builtin_prefetch(c + r * stride, 1);
    __builtin_prefetch(c + r * stride + kLanes, 1);
  }
}

// A panel, in words of float32 or of a pair of bfloat16, kPanel to each of `steps`, and what a tile asks for while it
// is summed, a line a step. First its factors `times`: all at once they would hold up the loads of the sums. And of the
// next panel: a pass has more matrices than caches hold, and would else wait for memory with every panel. The first two
// tiles of a block ask for half of it each, the others for what is there.
template <class Word>
struct Panel {
  const Word *b, *next;
  const float* times;
  std::int64_t stride;
  Panel(const ProductArgs& p, std::int64_t steps, std::int64_t row, std::int64_t j, std::int64_t slot)
      : b(static_cast<const Word*>(p.b) + j * steps),
        next(b),
        times(p.times + (p.times ? row * p.c_stride + j : 0)),
        stride(p.c_stride) {
    if (slot < 2 && j + kPanel < p.n) next += (kPanel + slot * kLanes) * steps;
  }
  // Calls body with each step of `steps` for a tile of R rows.
  template <int R, bool with_times, class Body>
  FATHOM_INLINE void over(std::int64_t steps, const Body& body) const {
    std::int64_t k = 0;
    for (; with_times && k < 2 * R && k < steps; ++k) {
      __builtin_prefetch(times + k / 2 * stride + k % 2 * kLanes);
      __builtin_prefetch(next + k * kLanes, 0, 2);
      body(k);
    }
    for (; k < steps; ++k) {
      __builtin_prefetch(next + k * kLanes, 0, 2);
      body(k);
    }
  }
};

// Not inlined: the compiler finds registers for all sums of one tile, not for those of all sizes at once.
template <int R, bool with_times>
__attribute__((noinline)) void tile(const ProductArgs& p, const float* a, const Panel<float> panel, float* c,
                                    std::int64_t columns) {
  Vec sums[R][2];
  take_sums<R>(p, sums, c, columns);
  panel.template over<R, with_times>(p.k, [&](std::int64_t k) FATHOM_ALWAYS {
    const Vec left = load(panel.b + k * kPanel), right = load(panel.b + k * kPanel + kLanes);
    for (int r = 0; r < R; ++r) {
      const float factor = a[r * p.a_stride + k];
      sums[r][0] += factor * left;
      sums[r][1] += factor * right;
    }
  });
  put_sums<R>(p, sums, c, columns);
}

// All `tiles` of rows, in blocks of as many as fit into `space` with `each`, and panel by panel: body(tile,
// panel's first column, place of the tile in its block).
template <class Begin, class Body>
FATHOM_INLINE void over_tiles(const ProductArgs& p, std::int64_t space, std::int64_t each, std::int64_t tiles,
                              const Begin& begin, const Body& body) {
  const std::int64_t block = space < each ? 1 : space / each;
  for (std::int64_t at = 0; at < tiles; at += block) {
    const std::int64_t end = at + block < tiles ? at + block : tiles;
    begin(at, end);
    for (std::int64_t j = 0; j < p.n; j += kPanel) {
      for (std::int64_t t = at; t < end; ++t) body(t, j, t - at);
    }
  }
}

// The tile in this place of its block, whose first row is `row` and whose factors begin at `a`, by the panel that
// begins at column j.
FATHOM_INLINE void panel_of_tile(const ProductArgs& p, const float* a, std::int64_t row, std::int64_t j,
                                 std::int64_t rows, std::int64_t slot) {
  const std::int64_t columns = p.n - j < kPanel ? p.n - j : kPanel;
  float* c = p.c + row * p.c_stride + j;
  want(c, p.c_stride, rows);
  if (p.y && p.y != p.c) want(p.y + row * p.y_stride + j, p.y_stride, rows);
  const Panel<float> panel(p, p.k, row, j, slot);
  with_rows<kTileRows>(rows, [&](auto count) {
    constexpr int kRows = decltype(count)::value;
    p.times ? tile<kRows, true>(p, a, panel, c, columns) : tile<kRows, false>(p, a, panel, c, columns);
  });
  if (p.y) finish_tile(p, c, p.y + row * p.y_stride + j, j, columns, rows);
}

void product(const ProductArgs& all, float* /*scratch*/, std::int64_t first, std::int64_t last) {
  const ProductArgs p = rows_between(all, first, last);
  const EvenTiles tiles(p.rows, kTileRows);
  over_tiles(
      p, kBlockFloats, kTileRows * p.k, tiles.count, [](auto, auto) {},
      [&](std::int64_t t, std::int64_t j, std::int64_t slot) {
        panel_of_tile(p, p.a + tiles.first(t) * p.a_stride, tiles.first(t), j, tiles.rows(t), slot);
      });
}
