// Launches the kernel that fills a dropout mask. Inside the CUDA module.
#pragma once

#include <cuda_runtime_api.h>

#include "trainer/model/dropout_hash.hpp"

namespace fathom::trainer {

// `mask`: device memory for `count` numbers in the shape's order. Asynchronous on `stream`; a launch that fails is told
// by cudaGetLastError().
void launch_mask(float* mask, long long count, const MaskShape& shape, const MaskDraw& draw, cudaStream_t stream);
void launch_mask(double* mask, long long count, const MaskShape& shape, const MaskDraw& draw, cudaStream_t stream);

}  // namespace fathom::trainer
