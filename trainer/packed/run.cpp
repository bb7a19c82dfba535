#include "trainer/packed/run.hpp"

#include <ATen/Parallel.h>

#include "trainer/engine/threads.hpp"
#include "trainer/model/dropout_hash.hpp"

namespace fathom::trainer::packed {
namespace {

// Elements of work below which a second thread costs more than it brings.
constexpr std::int64_t kGrain = 16384;
constexpr std::int64_t kGrainOfProducts = 1 << 19;  // multiplications

template <class Body>
void over_rows(std::int64_t rows, std::int64_t width, const Body& body) {
  share_out(rows, std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, width)), body);
}

}  // namespace

Mask Run::mask(double p, std::uint32_t site, bool wanted) const {
  Mask mask;
  if (!dropout || p <= 0.0 || !wanted) return mask;
  mask.on = true;
  mask.base = dropout_hash::mask_base(dropout->seed, dropout->step, site);
  mask.threshold = dropout_hash::threshold(p);
  mask.kept = static_cast<float>(1.0 / (1.0 - p));
  return mask;
}

void Run::product(const FrozenMatrix& matrix, Way way, ProductArgs args) const {
  args.k = way == Way::forward ? matrix.in() : matrix.out();
  args.n = way == Way::forward ? matrix.out() : matrix.in();
  args.b = matrix.packed(way);
  if (args.a_stride == 0) args.a_stride = args.k;
  if (args.c_stride == 0) args.c_stride = args.n;
  if (args.y_stride == 0) args.y_stride = args.n;
  const auto& products = products_of(matrix.precision());
  const auto start = arena.mark();
  const std::int64_t each = products.scratch(args.k), threads = at::get_num_threads();
  float* scratch = each > 0 ? arena.take(each * threads) : nullptr;
  // In rows, not in tiles: all threads are to be done at once.
  share_out(args.rows, std::max(products.tile, kGrainOfProducts / (args.n * args.k)),
            [&](auto first, auto last) { products.run(args, scratch + each * at::get_thread_num(), first, last); });
  arena.rewind(start);
}

void Run::embed(const EmbedArgs& args, std::int64_t tokens) const {
  over_rows(tokens, args.width, [&](auto first, auto last) { kernels().embed(args, first, last); });
}

void Run::norm(const NormArgs& args, const Rows& rows) const {
  over_rows(rows.count, args.width, [&](auto first, auto last) { kernels().norm(args, first, last); });
}

void Run::norm_back(const NormBackArgs& args, const Rows& rows) const {
  over_rows(rows.count, args.width, [&](auto first, auto last) { kernels().norm_back(args, first, last); });
}

void Run::activate(const ActivateArgs& args, const Rows& rows) const {
  over_rows(rows.count, args.width, [&](auto first, auto last) { kernels().activate(args, first, last); });
}

void Run::multiply(float* x, const float* y, std::int64_t count) const {
  // In lines of 16, so that no thread's range ends inside another's vector.
  const std::int64_t lines = (count + 15) / 16;
  over_rows(lines, 16, [&](auto first, auto last) {
    kernels().multiply(x, y, 16 * first, std::min<std::int64_t>(count, 16 * last));
  });
}

void Run::fuse(const FusionArgs& args, const Rows& rows, bool backward) const {
  over_rows(rows.count, 4 * args.offsets[args.members],
            [&](auto first, auto last) { (backward ? kernels().fuse_back : kernels().fuse)(args, first, last); });
}

void Run::attend(const AttentionArgs& args, std::int64_t longest, bool backward) const {
  const auto start = arena.mark();
  const std::int64_t each = kernels().attention_scratch(longest, args.head);
  float* scratch = arena.take(each * at::get_num_threads());
  const auto some = [&](auto first, auto last) {
    float* own = scratch + each * at::get_thread_num();
    (backward ? kernels().attend_back : kernels().attend)(args, own, first, last);
  };
  const std::int64_t threads = std::min<std::int64_t>(at::get_num_threads(), args.heads * args.sequences);
  // Each thread has some heads of every sequence, as many as the others: lengths differ, so shares of sequences would.
  // Where heads do not come out even the larger shares go round.
  share_out(threads, 1, [&](auto first, auto last) {
    for (auto turn = first; turn < last; ++turn) {
      for (std::int64_t s = 0; s < args.sequences; ++s) {
        const std::int64_t share = (turn + s) % threads, at = s * args.heads;
        some(at + args.heads * share / threads, at + args.heads * (share + 1) / threads);
      }
    }
  });
  arena.rewind(start);
}

void Run::sum_rows(float* out, const float* x, std::int64_t rows, std::int64_t width, bool add) const {
  if (!add) std::fill(out, out + width, 0.0F);
  over_rows(width, rows, [&](auto first, auto last) { kernels().sum_rows(out, x, rows, width, first, last); });
}

}  // namespace fathom::trainer::packed
