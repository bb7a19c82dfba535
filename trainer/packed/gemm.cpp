#include "trainer/packed/gemm.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include <ATen/Parallel.h>

#include "trainer/engine/threads.hpp"
#include "trainer/packed/kernels.hpp"

// The BLAS interface itself (netlib's, column-major): LibTorch exports MKL's and ships no header for it.
extern "C" void sgemm_(const char* transa, const char* transb, const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda, const float* b, const int* ldb,
                       const float* beta, float* c, const int* ldc);

namespace fathom::trainer::packed {
namespace {

// A row-major matrix is its own transpose to a column-major library, so cᵀ = bᵀ aᵀ is asked for.
void blas(const char* b_form, const char* a_form, float* c, const float* a, std::int64_t lda, const float* b,
          std::int64_t ldb, std::int64_t m, std::int64_t n, std::int64_t k, bool add) {
  if (m == 0 || n == 0) return;
  const int rows = static_cast<int>(m), columns = static_cast<int>(n), depth = static_cast<int>(k);
  const int a_stride = static_cast<int>(lda), b_stride = static_cast<int>(ldb);
  const float one = 1, beta = add ? 1.0F : 0.0F;
  sgemm_(b_form, a_form, &columns, &rows, &depth, &one, b, &b_stride, a, &a_stride, &beta, c, &columns);
}

// MKL takes its way for AVX2 on processors of other makers: 109 GFLOP/s a core where these kernels do 250 (AMD family
// 26). Few rows would not be worth laying out the matrix, and few columns leave most of a panel empty.
bool is_for_kernels(std::int64_t rows, std::int64_t width, std::int64_t other_width) {
#if defined(__x86_64__)
  static const bool wide = __builtin_cpu_is("intel") == 0 && std::string_view(kernels().name).substr(0, 6) == "avx512";
#else
  static const bool wide = false;
#endif
  constexpr std::int64_t kLeastRows = 48, kLeastWidth = 16;
  return wide && rows >= kLeastRows && width >= kLeastWidth && other_width >= kLeastWidth;
}

// Multiplications that a second thread is worth.
constexpr std::int64_t kGrain = 1 << 17;

// Room for `count` floats that begin a line of the cache, until the next call on this thread.
float* room(std::int64_t count) {
  constexpr std::uintptr_t kLine = 64;
  thread_local std::vector<float> held;
  const auto needed = static_cast<std::size_t>(count) + kLine / sizeof(float);
  if (held.size() < needed) held.resize(needed);
  const auto at = reinterpret_cast<std::uintptr_t>(held.data());
  return held.data() + (kLine - at % kLine) % kLine / sizeof(float);
}

}  // namespace

void product_packed(float* c, const float* a, const float* b, std::int64_t m, std::int64_t n, std::int64_t k,
                    std::int64_t n_stride, std::int64_t k_stride, bool add) {
  if (m == 0 || n == 0) return;
  const Products& products = kernels().fp32;
  float* const packed = room(products.packed(n, k));
  const std::int64_t panel = products.packed(1, k) / std::max<std::int64_t>(k, 1);
  constexpr std::int64_t kPackGrain = 1 << 14;  // floats
  share_out((n + panel - 1) / panel, std::max<std::int64_t>(1, kPackGrain / (panel * std::max<std::int64_t>(k, 1))),
            [&](auto first, auto last) {
              products.pack(packed + first * panel * k, b + first * panel * n_stride,
                            std::min(last * panel, n) - first * panel, k, n_stride, k_stride);
            });
  ProductArgs args;
  args.rows = m, args.n = n, args.k = k;
  args.a = a, args.b = packed, args.c = c;
  args.a_stride = k, args.c_stride = n;
  args.add = add;
  std::vector<float> scratch(static_cast<std::size_t>(products.scratch(k) * at::get_num_threads()));
  share_out(m, std::max(products.tile, kGrain / (n * std::max<std::int64_t>(k, 1))), [&](auto first, auto last) {
    products.run(args, scratch.data() + products.scratch(k) * at::get_thread_num(), first, last);
  });
}

void product_nt(float* c, const float* a, const float* b, std::int64_t m, std::int64_t n, std::int64_t k, bool add) {
  if (is_for_kernels(m, n, k)) return product_packed(c, a, b, m, n, k, k, 1, add);
  blas("T", "N", c, a, k, b, k, m, n, k, add);
}

void product_nn(float* c, const float* a, const float* b, std::int64_t m, std::int64_t n, std::int64_t k, bool add) {
  if (is_for_kernels(m, n, k)) return product_packed(c, a, b, m, n, k, 1, n, add);
  blas("N", "N", c, a, k, b, n, m, n, k, add);
}

void product_outer(float* c, const float* a, const float* b, std::int64_t m, std::int64_t n, std::int64_t k, bool add) {
  const auto units = kernels().outer_units(m, n);
  if (units == 0) return;
  const std::int64_t grain = kGrain / std::max<std::int64_t>(1, k * (m * n / units)) + 1;
  share_out(units, grain, [&](auto first, auto last) { kernels().outer({m, n, k, a, b, c, add}, first, last); });
}

void product_tn(float* c, const float* a, const float* b, std::int64_t m, std::int64_t n, std::int64_t k, bool add) {
  if (is_for_kernels(k, m, n)) return product_outer(c, a, b, m, n, k, add);
  blas("N", "T", c, a, m, b, n, m, n, k, add);
}

}  // namespace fathom::trainer::packed
