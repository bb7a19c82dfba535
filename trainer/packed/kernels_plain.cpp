#define FATHOM_KERNELS plain
#define FATHOM_LANES 4
#include "trainer/packed/kernel_set.inl"
