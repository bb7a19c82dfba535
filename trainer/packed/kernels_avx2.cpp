#define FATHOM_KERNELS avx2
#define FATHOM_LANES 8
#include "trainer/packed/kernel_set.inl"
