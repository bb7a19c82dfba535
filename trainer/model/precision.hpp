// What a job computes its frozen matrices in. fp32: everything in float32. bf16: where rows meet a frozen matrix of the
// encoder, both are rounded to bfloat16 and summed in float32, forward and backward; residuals, LayerNorms, attention,
// embeddings, adapters, heads and the optimizer stay in float32. tf32: float32 whose products, all of them, may run on
// a GPU's tensor cores (LibTorch's allow_tf32: factors with 10 bits of mantissa, sums in float32); only GPUs train in
// it.
#pragma once

namespace fathom::trainer {

enum class Precision { fp32, bf16, tf32 };

}  // namespace fathom::trainer
