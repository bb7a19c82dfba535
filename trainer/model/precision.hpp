// What a job computes its frozen matrices in. fp32: everything in float32. bf16: where rows meet a frozen matrix of the
// encoder, both are rounded to bfloat16 and summed in float32, forward and backward; residuals, LayerNorms, attention,
// embeddings, adapters, heads and the optimizer stay in float32.
#pragma once

namespace fathom::trainer {

enum class Precision { fp32, bf16 };

}  // namespace fathom::trainer
