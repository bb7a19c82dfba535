#include <immintrin.h>

#define FATHOM_KERNELS amx
#define FATHOM_LANES 16
#define FATHOM_AMX
#include "trainer/packed/kernel_set.inl"
