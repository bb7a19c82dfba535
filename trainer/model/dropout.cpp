#include "trainer/model/dropout.hpp"

#include <array>
#include <cmath>
#include <stdexcept>

#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <c10/core/GradMode.h>

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

// SplitMix64's finalizer (Steele et al. 2014): a bijection that spreads every input bit over all output bits.
std::uint64_t mix64(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

// One line (the last dimension) of a mask: element j is kept where a 32-bit hash of (key, j) reaches the threshold.
// The rounds are MurmurHash3's finalizer with the upper half of the key mixed in, 32-bit so that they vectorise.
template <class T>
FATHOM_VECTOR_CLONES void fill_line(T* mask, std::uint32_t size, std::uint64_t key, std::uint32_t threshold, T kept) {
  const auto low = static_cast<std::uint32_t>(key);
  const auto high = static_cast<std::uint32_t>(key >> 32);
  for (std::uint32_t j = 0; j < size; ++j) {
    std::uint32_t x = low + j * 0x9E3779B9u;
    x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
    x ^= high;
    x = (x ^ (x >> 13)) * 0xC2B2AE35u;
    x ^= x >> 16;
    mask[j] = x >= threshold ? kept : T{0};
  }
}

template <class T>
void fill_mask(T* mask, const std::array<std::int64_t, 4>& sizes, double p, const DropoutSource& source,
               std::uint32_t site) {
  const auto threshold = static_cast<std::uint32_t>(std::llround(p * 4294967296.0));
  const T kept = static_cast<T>(1.0 / (1.0 - p));
  const std::uint64_t base = mix64(mix64(mix64(source.seed) ^ source.step) ^ site);
  for (std::int64_t row = 0; row < sizes[0]; ++row) {
    const std::uint64_t row_key = mix64(base ^ static_cast<std::uint64_t>(source.first_row + row));
    for (std::int64_t a = 0; a < sizes[1]; ++a) {
      for (std::int64_t b = 0; b < sizes[2]; ++b, mask += sizes[3]) {
        // (a, b) fits 32 bits, so that lines of one row never share a key.
        const auto line = (static_cast<std::uint64_t>(a) << 16) | static_cast<std::uint64_t>(b);
        fill_line(mask, static_cast<std::uint32_t>(sizes[3]), mix64(row_key ^ line), threshold, kept);
      }
    }
  }
}

// [row, a, b, last]: missing middle dimensions are 1, so that [B, T, H] and [B, H] have lines of length H.
std::array<std::int64_t, 4> four_sizes(const at::Tensor& x) {
  const std::int64_t dims = x.dim();
  if (dims < 1 || dims > 4) throw std::invalid_argument("dropout: a tensor of 1 to 4 dimensions is needed");
  std::array<std::int64_t, 4> sizes = {x.size(0), 1, 1, 1};
  if (dims >= 2) sizes[3] = x.size(dims - 1);
  if (dims >= 3) sizes[2] = x.size(dims - 2);
  if (dims == 4) sizes[1] = x.size(1);
  for (int i = 1; i < 4; ++i) {
    if (sizes[i] > 65536) throw std::invalid_argument("dropout: an inner dimension is larger than 65536");
  }
  return sizes;
}

}  // namespace

at::Tensor dropout(const at::Tensor& x, double p, const DropoutSource& source, std::uint32_t site) {
  if (p <= 0.0) return x;
  if (p >= 1.0) throw std::invalid_argument("dropout: p must be below 1");
  at::Tensor mask;
  {
    const c10::NoGradGuard no_grad;
    mask = at::empty(x.sizes(), x.options().requires_grad(false));
    const auto sizes = four_sizes(x);
    if (x.scalar_type() == at::kFloat) {
      fill_mask(mask.mutable_data_ptr<float>(), sizes, p, source, site);
    } else if (x.scalar_type() == at::kDouble) {
      fill_mask(mask.mutable_data_ptr<double>(), sizes, p, source, site);
    } else {
      throw std::invalid_argument("dropout: float32 or float64 is needed");
    }
  }
  return at::mul(x, mask);
}

}  // namespace fathom::trainer
