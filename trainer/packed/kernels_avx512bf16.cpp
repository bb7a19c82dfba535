#include <immintrin.h>

#define FATHOM_KERNELS avx512bf16
#define FATHOM_LANES 16
#define FATHOM_BF16
#include "trainer/packed/kernel_set.inl"
