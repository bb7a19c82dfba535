// Products of row-major float32 matrices without gaps between their rows, through the BLAS inside LibTorch (MKL), with
// its threads. Raw pointers: a product of the reference engine costs a tensor, this one only the arithmetic.
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
// c [m, n] = a [k, m]ᵀ · b [k, n]
void product_tn(float* c, const float* a, const float* b, std::int64_t m, std::int64_t n, std::int64_t k,
                bool add = false);

}  // namespace fathom::trainer::packed
