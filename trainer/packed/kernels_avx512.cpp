#define FATHOM_KERNELS avx512
#define FATHOM_LANES 16
#include "trainer/packed/kernel_set.inl"
