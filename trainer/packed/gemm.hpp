// Products of row-major float32 matrices without gaps between their rows, through the BLAS inside LibTorch (MKL) or the
// engine's own kernels, whichever is faster on this processor: its maker decides, so that bits stay the same. Raw
// pointers: a product of the reference engine costs a tensor, this one only the arithmetic. Thread: compute thread.
#pragma once

#include <cstdint>

namespace fathom::trainer::packed {

// `add` keeps what c holds and adds to it.
// c [m, n] = a [m, k] · b [n, k]ᵀ
void product_nt(float* c, const float* a, const float* b, std::int64_t m, std::int64_t n, std::int64_t k,
                bool add = false);
// c [m, n] = a [m, k] · b [k, n]
void product_nn(float* c, const float* a, const float* b, std::int64_t m, std::int64_t n, std::int64_t k,
                bool add = false);
// c [m, n] = a [m, k] · b, with b(i, j) = b[j * n_stride + i * k_stride], by the engine's own kernels: b is laid out
// for them first, so there should be many rows. What the two above do on processors that MKL was not made for.
void product_packed(float* c, const float* a, const float* b, std::int64_t m, std::int64_t n, std::int64_t k,
                    std::int64_t n_stride, std::int64_t k_stride, bool add = false);
// c [m, n] = a [k, m]ᵀ · b [k, n]
void product_tn(float* c, const float* a, const float* b, std::int64_t m, std::int64_t n, std::int64_t k,
                bool add = false);
// The same by the engine's own kernels, what product_tn does on processors that MKL was not made for.
void product_outer(float* c, const float* a, const float* b, std::int64_t m, std::int64_t n, std::int64_t k,
                   bool add = false);

}  // namespace fathom::trainer::packed
