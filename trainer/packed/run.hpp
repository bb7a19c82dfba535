// What every part of one packed pass works with: the kernels spread over the threads, the pass's memory, and the masks
// of its optimizer step. Lives on the caller's stack for one pass. Thread: compute thread.
#pragma once

#include <algorithm>

#include "trainer/model/dropout.hpp"
#include "trainer/model/encoder.hpp"
#include "trainer/packed/arena.hpp"
#include "trainer/packed/frozen.hpp"
#include "trainer/packed/kernels.hpp"

namespace fathom::trainer::packed {

// Rows of a buffer: all tokens of a pass, or the first of each sequence.
struct Rows {
  std::int64_t count = 0;
  const Place* places = nullptr;
};

struct Run {
  const FrozenBase& base;
  Arena& arena;
  const DropoutSource* dropout = nullptr;  // null: evaluation

  [[nodiscard]] std::int64_t hidden() const { return base.config().hidden; }
  [[nodiscard]] float* take(const Rows& rows, std::int64_t width) const { return arena.take(rows.count * width); }
  // The mask of `site`; off in evaluation, for p = 0 and unless `wanted`.
  [[nodiscard]] Mask mask(double p, std::uint32_t site, bool wanted = true) const;

  // args.rows rows through a frozen matrix; n, k, b and the strides of a and c that are 0 come from the matrix.
  void product(const FrozenMatrix& matrix, Way way, ProductArgs args) const;
  void embed(const EmbedArgs& args, std::int64_t tokens) const;
  void norm(const NormArgs& args, const Rows& rows) const;
  void norm_back(const NormBackArgs& args, const Rows& rows) const;
  void activate(const ActivateArgs& args, const Rows& rows) const;
  void multiply(float* x, const float* y, std::int64_t count) const;
  void fuse(const FusionArgs& args, const Rows& rows, bool backward) const;
  void attend(const AttentionArgs& args, std::int64_t longest, bool backward) const;
  // out [width] (+)= sums over the rows of x [rows, width].
  void sum_rows(float* out, const float* x, std::int64_t rows, std::int64_t width, bool add) const;
};

}  // namespace fathom::trainer::packed
