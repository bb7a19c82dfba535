// Attention of one head within one sequence, all in a thread's scratch: a few small matrix products. See kernels.hpp.

// R rows and V vectors of c = a b, with a[r][k] at a[r * a_row + k * a_col] and b [depth, b_stride].
// Not inlined: registers for the sums of one size, not of all at once.
template <int R, int V>
__attribute__((noinline)) void block(float* c, std::int64_t c_stride, const float* a, std::int64_t a_row,
                                     std::int64_t a_col, const float* b, std::int64_t b_stride, std::int64_t depth) {
  Vec sums[R][V] = {};
  for (std::int64_t k = 0; k < depth; ++k) {
    Vec right[V];
    for (int v = 0; v < V; ++v) right[v] = load(b + k * b_stride + v * kLanes);
    for (int r = 0; r < R; ++r) {
      const float left = a[r * a_row + k * a_col];
      for (int v = 0; v < V; ++v) sums[r][v] += left * right[v];
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) store(c + r * c_stride + v * kLanes, sums[r][v]);
  }
}

// c [rows, width] = a b; width a multiple of kLanes.
struct Product {
  float* c;
  std::int64_t c_stride;
  const float* a;
  std::int64_t a_row, a_col;
  const float* b;
  std::int64_t b_stride;
  std::int64_t rows, width, depth;
};

template <int V>
FATHOM_INLINE void columns(const Product& p, std::int64_t j) {
  constexpr int kMost = kLanes == 16 ? 8 : 6;
  const EvenTiles tiles(p.rows, kMost);
  for (std::int64_t t = 0; t < tiles.count; ++t) {
    const std::int64_t i = tiles.first(t);
    with_rows<kMost>(tiles.rows(t), [&](auto rows) {
      block<decltype(rows)::value, V>(p.c + i * p.c_stride + j, p.c_stride, p.a + i * p.a_row, p.a_row, p.a_col,
                                      p.b + j, p.b_stride, p.depth);
    });
  }
}

void multiply_small(const Product& p) {
  std::int64_t j = 0;
  for (; j + 2 * kLanes <= p.width; j += 2 * kLanes) columns<2>(p, j);
  if (j < p.width) columns<1>(p, j);
}

constexpr std::int64_t padded(std::int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// A thread's scratch, cut up. wide: keys rounded up to vectors; deep: the head rounded up.
struct Desk {
  std::int64_t wide, deep;
  float *keys_t, *values_t;                         // [head, wide]
  float *queries, *keys, *values, *d_out, *result;  // [tokens, deep]
  float *weights, *masked, *d_weights;              // [queries, wide]
  Desk(float* scratch, std::int64_t tokens, std::int64_t head) : wide(padded(tokens)), deep(padded(head)) {
    float* next = scratch;
    const auto take = [&](std::int64_t count) {
      float* start = next;
      next += (count + 15) / 16 * 16;
      return start;
    };
    keys_t = take(head * wide);
    values_t = take(head * wide);
    queries = take(tokens * deep);
    keys = take(tokens * deep);
    values = take(tokens * deep);
    d_out = take(tokens * deep);
    result = take(tokens * deep);
    weights = take(tokens * wide);
    masked = take(tokens * wide);
    d_weights = take(tokens * wide);
  }
};

std::int64_t attention_scratch(std::int64_t longest, std::int64_t head) {
  return 2 * head * padded(longest) + 5 * longest * padded(head) + 3 * longest * padded(longest) + 10 * 16;
}

// n floats of one row of a head, or all kLanes, with bias and scale.
FATHOM_INLINE void take_some(float* to, const float* from, const float* bias, float scale, std::int64_t n) {
  Vec x = load(from, n);
  if (bias) x += load(bias, n);
  store(to, x * scale);
}

// One head of `count` rows, zeros up to `deep`.
void take_head(float* to, std::int64_t deep, const float* from, std::int64_t stride, const float* bias, float scale,
               std::int64_t count, std::int64_t head) {
  for (std::int64_t i = 0; i < count; ++i, to += deep, from += stride) {
    std::int64_t j = 0;
    for (; j + kLanes <= head; j += kLanes) {
      // The next head's, which comes next.
      __builtin_prefetch(from + head + j);
      take_some(to + j, from + j, bias ? bias + j : bias, scale, kLanes);
    }
    if (j < head) take_some(to + j, from + j, bias ? bias + j : bias, scale, head - j);
  }
}

void put_head(float* to, std::int64_t stride, const float* from, std::int64_t deep, float scale, std::int64_t count,
              std::int64_t head) {
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t j = 0; j < head; j += kLanes)
      store(to + i * stride + j, load(from + i * deep + j) * scale, head - j);
  }
}

void transpose(float* to, std::int64_t wide, const float* from, std::int64_t deep, std::int64_t count,
               std::int64_t head) {
  for (std::int64_t i = 0; i < wide; i += kLanes) {
    for (std::int64_t j = 0; j < head; j += kLanes) {
      Vec x[kLanes];
      for (int r = 0; r < kLanes; ++r) x[r] = i + r < count ? load(from + (i + r) * deep + j) : Vec{};
      transpose_block(x);
      for (int r = 0; r < kLanes && j + r < head; ++r) store(to + (j + r) * wide + i, x[r]);
    }
  }
}

// One head of one sequence: which rows it has, and how many.
struct Unit {
  std::int64_t head, sequence, queries, keys;
  std::int64_t q_at, k_at, column;  // first rows, first column
  Unit(const AttentionArgs& a, std::int64_t unit) : head(unit % a.heads), sequence(unit / a.heads) {
    q_at = a.q_offsets[sequence];
    k_at = a.k_offsets[sequence];
    queries = a.q_offsets[sequence + 1] - q_at;
    keys = a.k_offsets[sequence + 1] - k_at;
    column = head * a.head;
  }
};

const float* at_column(const float* bias, std::int64_t column) { return bias ? bias + column : nullptr; }

void softmax_row(float* row, std::int64_t count, std::int64_t wide) {
  // What is behind the last key: in one store, as the loads that follow would wait for single ones.
  const std::int64_t last = wide - kLanes;
  const Ints places = reinterpret_cast<Ints>(lane_numbers());
  store(row + last, choose(places < static_cast<std::int32_t>(count - last), load(row + last), spread(-1e30F)));
  Vec most = load(row);
  for (std::int64_t j = kLanes; j < wide; j += kLanes) most = larger(load(row + j), most);
  const float top = largest(most);
  Vec sums = {};
  for (std::int64_t j = 0; j < wide; j += kLanes) {
    const Vec e = exponential<true>(load(row + j) - top);
    store(row + j, e);
    sums += e;
  }
  const float share = 1.0F / total(sums);
  for (std::int64_t j = 0; j < wide; j += kLanes) store(row + j, load(row + j) * share);
}

// to = weights * mask for the weights of query i, and d *= mask unless it is null. Returns Σ d weights by lanes.
FATHOM_INLINE Vec mask_row(const AttentionArgs& a, const Unit& u, std::int64_t i, float* to, const float* weights,
                           float* d, std::int64_t wide) {
  const auto row = static_cast<std::uint64_t>(a.first_row + u.sequence);
  const auto key =
      dropout_hash::line_key(a.mask.base, row, static_cast<std::uint64_t>(u.head), static_cast<std::uint64_t>(i));
  Vec sums = {};
  for (std::int64_t j = 0; j < wide; j += kLanes) {
    const Vec mask = mask_at(key, j, a.mask), weight = load(weights + j);
    store(to + j, weight * mask);
    if (!d) continue;
    const Vec gradient = load(d + j) * mask;
    store(d + j, gradient);
    sums += gradient * weight;
  }
  return sums;
}

// Queries (scaled by 1/sqrt(head)), transposed keys, values, and the scores, where the weights will be.
void score(const AttentionArgs& a, const Unit& u, const Desk& desk) {
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(a.head));
  take_head(desk.queries, desk.deep, a.q + u.q_at * a.q_stride + u.column, a.q_stride, at_column(a.q_bias, u.column),
            scale, u.queries, a.head);
  take_head(desk.keys, desk.deep, a.k + u.k_at * a.k_stride + u.column, a.k_stride, at_column(a.k_bias, u.column), 1,
            u.keys, a.head);
  take_head(desk.values, desk.deep, a.v + u.k_at * a.k_stride + u.column, a.k_stride, at_column(a.v_bias, u.column), 1,
            u.keys, a.head);
  transpose(desk.keys_t, desk.wide, desk.keys, desk.deep, u.keys, a.head);
  multiply_small(
      {desk.weights, desk.wide, desk.queries, desk.deep, 1, desk.keys_t, desk.wide, u.queries, desk.wide, a.head});
}

void attend(const AttentionArgs& a, float* scratch, std::int64_t first, std::int64_t last) {
  for (std::int64_t unit = first; unit < last; ++unit) {
    const Unit u(a, unit);
    const Desk desk(scratch, u.keys, a.head);
    score(a, u, desk);
    for (std::int64_t i = 0; i < u.queries; ++i) {
      float* row = desk.weights + i * desk.wide;
      softmax_row(row, u.keys, desk.wide);
      if (a.mask.on) mask_row(a, u, i, row, row, nullptr, desk.wide);
    }
    multiply_small(
        {desk.result, desk.deep, desk.weights, desk.wide, 1, desk.values, desk.deep, u.queries, desk.deep, u.keys});
    put_head(a.out + u.q_at * a.out_stride + u.column, a.out_stride, desk.result, desk.deep, 1, u.queries, a.head);
  }
}

// Σ d w by lanes, where there is no mask.
FATHOM_INLINE Vec dot_row(const float* w, const float* d, std::int64_t wide) {
  Vec sums = {};
  for (std::int64_t j = 0; j < wide; j += kLanes) sums += load(d + j) * load(w + j);
  return sums;
}

// d becomes the gradient of the scores of one query: w * (d - Σ d w), d through the mask.
FATHOM_INLINE void softmax_back_row(const float* w, float* d, float mean, std::int64_t wide) {
  for (std::int64_t j = 0; j < wide; j += kLanes) store(d + j, load(w + j) * (load(d + j) - mean));
}

void attend_back(const AttentionArgs& a, float* scratch, std::int64_t first, std::int64_t last) {
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(a.head));
  for (std::int64_t unit = first; unit < last; ++unit) {
    const Unit u(a, unit);
    const Desk desk(scratch, u.keys, a.head);
    const std::int64_t wide = desk.wide, deep = desk.deep;
    score(a, u, desk);
    take_head(desk.d_out, deep, a.d_out + u.q_at * a.out_stride + u.column, a.out_stride, nullptr, 1, u.queries,
              a.head);
    transpose(desk.values_t, wide, desk.values, deep, u.keys, a.head);
    multiply_small({desk.d_weights, wide, desk.d_out, deep, 1, desk.values_t, wide, u.queries, wide, a.head});
    // Row by row: all that is done to one stays in the first cache.
    for (std::int64_t i = 0; i < u.queries; ++i) {
      float *row = desk.weights + i * wide, *d = desk.d_weights + i * wide;
      softmax_row(row, u.keys, wide);
      const Vec sums = a.mask.on ? mask_row(a, u, i, desk.masked + i * wide, row, d, wide) : dot_row(row, d, wide);
      softmax_back_row(row, d, total(sums), wide);
    }
    const float* used = a.mask.on ? desk.masked : desk.weights;
    multiply_small({desk.result, deep, used, 1, wide, desk.d_out, deep, u.keys, deep, u.queries});
    put_head(a.d_v + u.k_at * a.d_k_stride + u.column, a.d_k_stride, desk.result, deep, 1, u.keys, a.head);
    // The queries on the desk carry the scale already; the keys do not.
    multiply_small({desk.result, deep, desk.d_weights, 1, wide, desk.queries, deep, u.keys, deep, u.queries});
    put_head(a.d_k + u.k_at * a.d_k_stride + u.column, a.d_k_stride, desk.result, deep, 1, u.keys, a.head);
    multiply_small({desk.result, deep, desk.d_weights, wide, 1, desk.keys, deep, u.queries, deep, u.keys});
    put_head(a.d_q + u.q_at * a.d_q_stride + u.column, a.d_q_stride, desk.result, deep, scale, u.queries, a.head);
  }
}
