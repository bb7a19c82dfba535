// How rows are cut into tiles whose sums stand in registers. See kernels.hpp.

// Rows as tiles of at most `most`: as few as there can be, and all of like size. A tile of one or two rows would take
// as long as one of four, waiting for its sums.
struct EvenTiles {
  std::int64_t count, each, longer;
  EvenTiles(std::int64_t rows, std::int64_t most)
      : count((rows + most - 1) / most), each(count ? rows / count : 0), longer(count ? rows % count : 0) {}
  [[nodiscard]] std::int64_t first(std::int64_t tile) const { return tile * each + (tile < longer ? tile : longer); }
  [[nodiscard]] std::int64_t rows(std::int64_t tile) const { return tile < longer ? each + 1 : each; }
};

// Calls body with the constant `rows`, which is 1 … R.
template <int R, class Body>
FATHOM_INLINE void with_rows(std::int64_t rows, const Body& body) {
  if (rows >= R) return body(Count<R>{});
  if constexpr (R > 1) with_rows<R - 1>(rows, body);
}
