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

template <int R>
FATHOM_INLINE void take_sums(const ProductArgs& p, Vec (&sums)[R][2], const float* c, std::int64_t columns) {
  for (auto& row : sums) row[0] = row[1] = Vec{};
  if (!p.add) return;
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < 2; ++v) sums[r][v] = load(c + r * p.c_stride + v * kLanes, columns - v * kLanes);
  }
}

template <int R>
FATHOM_INLINE void put_sums(const ProductArgs& p, const Vec (&sums)[R][2], float* c, std::int64_t columns) {
  // Whole panels without a branch inside: else the sums go through the stack.
  if (columns >= kPanel) {
    for (int r = 0; r < R; ++r) {
      store(c + r * p.c_stride, sums[r][0]);
      store(c + r * p.c_stride + kLanes, sums[r][1]);
    }
    return;
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < 2; ++v) store(c + r * p.c_stride + v * kLanes, sums[r][v], columns - v * kLanes);
  }
}

// Asks for the lines that will be written, which are far away as a rule: they come while the tile is summed.
FATHOM_INLINE void want(const float* c, std::int64_t stride, std::int64_t rows) {
  for (std::int64_t r = 0; r < rows; ++r) {
    __builtin_prefetch(c + r * stride, 1);
    __builtin_prefetch(c + r * stride + kLanes, 1);
  }
}

// Not inlined: the compiler finds registers for all sums of one tile, not for those of all sizes at once.
template <int R>
__attribute__((noinline)) void tile(const ProductArgs& p, const float* a, const float* b, float* c,
                                    std::int64_t columns) {
  Vec sums[R][2];
  take_sums<R>(p, sums, c, columns);
  for (std::int64_t k = 0; k < p.k; ++k) {
    const Vec left = load(b + k * kPanel), right = load(b + k * kPanel + kLanes);
    for (int r = 0; r < R; ++r) {
      const float factor = a[r * p.a_stride + k];
      sums[r][0] += factor * left;
      sums[r][1] += factor * right;
    }
  }
  put_sums<R>(p, sums, c, columns);
}

// Calls body with the constant `rows`, which is 1 … R.
template <int R, class Body>
FATHOM_INLINE void with_rows(std::int64_t rows, const Body& body) {
  if (rows >= R) return body(Count<R>{});
  if constexpr (R > 1) with_rows<R - 1>(rows, body);
}

// The tiles [first, last) of rows, in blocks of as many as fit into `space` with `each`, and panel by panel: body(tile,
// panel's first column, place of the tile in its block).
template <class Begin, class Body>
FATHOM_INLINE void over_tiles(const ProductArgs& p, std::int64_t space, std::int64_t each, std::int64_t first,
                              std::int64_t last, const Begin& begin, const Body& body) {
  const std::int64_t block = space < each ? 1 : space / each;
  for (std::int64_t at = first; at < last; at += block) {
    const std::int64_t end = at + block < last ? at + block : last;
    begin(at, end);
    for (std::int64_t j = 0; j < p.n; j += kPanel) {
      for (std::int64_t t = at; t < end; ++t) body(t, j, t - at);
    }
  }
}

// Tile t, whose rows begin at `a`, by the panel that begins at column j.
FATHOM_INLINE void panel_of_tile(const ProductArgs& p, const float* a, std::int64_t t, std::int64_t j,
                                 std::int64_t rows) {
  const std::int64_t row = t * kTileRows, columns = p.n - j < kPanel ? p.n - j : kPanel;
  float* c = p.c + row * p.c_stride + j;
  want(c, p.c_stride, rows);
  if (p.y && p.y != p.c) want(p.y + row * p.y_stride + j, p.y_stride, rows);
  with_rows<kTileRows>(rows, [&](auto count) {
    tile<decltype(count)::value>(p, a, static_cast<const float*>(p.b) + j * p.k, c, columns);
  });
  if (p.y) finish_tile(p, c, p.y + row * p.y_stride + j, j, columns, rows);
}

void product(const ProductArgs& p, float* /*scratch*/, std::int64_t first, std::int64_t last) {
  over_tiles(
      p, kBlockFloats, kTileRows * p.k, first, last, [](auto, auto) {},
      [&](std::int64_t t, std::int64_t j, std::int64_t) {
        const std::int64_t row = t * kTileRows;
        const std::int64_t rows = p.rows - row < kTileRows ? p.rows - row : kTileRows;
        panel_of_tile(p, p.a + row * p.a_stride, t, j, rows);
      });
}
