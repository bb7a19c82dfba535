// What happens at one place of one layer: the active part of a setup applied to the output of a sub-block.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "trainer/adapters/setup.hpp"
#include "trainer/model/base_model.hpp"
#include "trainer/model/dropout.hpp"

namespace fathom::trainer {

// The surroundings of a site during one forward call. Lives on the caller's stack.
struct SiteContext {
  std::int64_t layer = 0;
  Site site = Site::output;
  const LayerNorm* norm = nullptr;                    // the sub-block's own pretrained LayerNorm
  const DropoutSource* dropout = nullptr;             // null = eval mode
  double fusion_dropout = 0.0;                        // the model's attention dropout, for fusions without their own
  std::int64_t fusion_calls = 0;                      // see ForwardOptions
  std::int64_t batch = 0;                             // rows before a `parallel` multiplied them
  std::vector<FusionAttention>* attention = nullptr;  // filled when not null
  std::uint32_t adapters_run = 0;                     // numbers the adapters of this site for their dropout masks
};

// y of the sub-block: h [B, T, H] = output of its dense (and dropout), x [B, T, H] = its input. Without an active
// adapter y = LN(h + x); seq_bn: z = LN(h + x), y = LN(U f(D z) + h + x); double_seq_bn: y = LN(U f(D h) + h + x);
// par_bn: y = LN(s U f(D x) + h + x). A `parallel` that meets B = context.batch rows gives [children * B, T, H].
at::Tensor apply_setup(const Setup& setup, const at::Tensor& h, const at::Tensor& x, SiteContext& context);

}  // namespace fathom::trainer
