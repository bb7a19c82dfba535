#include "trainer/model/dropout.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <c10/core/GradMode.h>

#include "trainer/gpu/gpu_module.hpp"
#include "trainer/model/dropout_hash.hpp"

// The inner loop compiled for each width of vector unit and chosen at load time. Sanitizers do not know load-time
// resolvers, so their builds take the plain loop: the numbers are the same, integers leave no room for others.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define FATHOM_VECTOR_CLONES __attribute__((target_clones("default", "avx2", "avx512f"), optimize("O3")))
#else
#define FATHOM_VECTOR_CLONES
#endif

namespace fathom::trainer {
namespace {

// One line (the last dimension) of a mask: element j is kept where a 32-bit hash of (key, j) reaches the threshold.
template <class T>
FATHOM_VECTOR_CLONES void fill_line(T* mask, std::uint32_t size, std::uint64_t key, std::uint32_t threshold, T kept) {
  const auto low = static_cast<std::uint32_t>(key);
  const auto high = static_cast<std::uint32_t>(key >> 32);
  for (std::uint32_t j = 0; j < size; ++j) mask[j] = dropout_hash::bits(low, high, j) >= threshold ? kept : T{0};
}

template <class T>
void fill_mask(T* mask, std::int64_t rows, const MaskShape& shape, const MaskDraw& draw) {
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t a = 0; a < shape.a; ++a) {
      for (std::int64_t b = 0; b < shape.b; ++b, mask += shape.last) {
        const auto key = dropout_hash::line_key(draw.base, static_cast<std::uint64_t>(draw.first_row + row),
                                                static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b));
        fill_line(mask, static_cast<std::uint32_t>(shape.last), key, draw.threshold, static_cast<T>(draw.kept));
      }
    }
  }
}

// [row, a, b, last]: missing middle dimensions are 1, so that [B, T, H] and [B, H] have lines of length H.
MaskShape shape_of(const at::Tensor& x) {
  const std::int64_t dims = x.dim();
  if (dims < 1 || dims > 4) throw std::invalid_argument("dropout: a tensor of 1 to 4 dimensions is needed");
  MaskShape shape;
  if (dims >= 2) shape.last = x.size(dims - 1);
  if (dims >= 3) shape.b = x.size(dims - 2);
  if (dims == 4) shape.a = x.size(1);
  if (std::max({shape.a, shape.b, shape.last}) > 65536)
    throw std::invalid_argument("dropout: an inner dimension is larger than 65536");
  return shape;
}

void fill_on_gpu(const at::Tensor& mask, const MaskShape& shape, const MaskDraw& draw) {
  std::string error;
  const auto* gpu = open_gpu_module(&error);
  if (gpu != nullptr) error = gpu->fill_mask(mask, shape, draw);
  if (!error.empty()) throw std::runtime_error("dropout on " + mask.device().str() + ": " + error);
}

}  // namespace

at::Tensor dropout(const at::Tensor& x, double p, const DropoutSource& source, std::uint32_t site) {
  if (p <= 0.0) return x;
  if (p >= 1.0) throw std::invalid_argument("dropout: p must be below 1");
  at::Tensor mask;
  {
    const c10::NoGradGuard no_grad;
    mask = at::empty(x.sizes(), x.options().requires_grad(false));
    const auto shape = shape_of(x);
    MaskDraw draw;
    draw.base = dropout_hash::mask_base(source.seed, source.step, site);
    draw.first_row = source.first_row;
    draw.threshold = dropout_hash::threshold(p);
    draw.kept = 1.0 / (1.0 - p);
    if (x.scalar_type() != at::kFloat && x.scalar_type() != at::kDouble) {
      throw std::invalid_argument("dropout: float32 or float64 is needed");
    } else if (!x.is_cpu()) {
      fill_on_gpu(mask, shape, draw);
    } else if (x.scalar_type() == at::kFloat) {
      fill_mask(mask.mutable_data_ptr<float>(), x.size(0), shape, draw);
    } else {
      fill_mask(mask.mutable_data_ptr<double>(), x.size(0), shape, draw);
    }
  }
  return at::mul(x, mask);
}

}  // namespace fathom::trainer
