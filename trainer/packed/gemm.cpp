#include "trainer/packed/gemm.hpp"

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

}  // namespace

void product_nt(float* c, const float* a, const float* b, std::int64_t m, std::int64_t n, std::int64_t k, bool add) {
  blas("T", "N", c, a, k, b, k, m, n, k, add);
}

void product_nn(float* c, const float* a, const float* b, std::int64_t m, std::int64_t n, std::int64_t k, bool add) {
  blas("N", "N", c, a, k, b, n, m, n, k, add);
}

void product_tn(float* c, const float* a, const float* b, std::int64_t m, std::int64_t n, std::int64_t k, bool add) {
  blas("N", "T", c, a, m, b, n, m, n, k, add);
}

}  // namespace fathom::trainer::packed
