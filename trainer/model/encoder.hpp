// The reference engine's forward pass: padded rows, plain autograd, the Hugging Face arithmetic. Which adapters run is
// an argument (Setup), never a state of the model, so jobs that share one base cannot disturb each other. Thread: any
// number of calls at once on one BaseModel. Errors: std::invalid_argument for a batch that does not fit the model
// (too long, ids outside the vocabulary are found by Torch as c10::Error); validate setups first with check_setup().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "trainer/adapters/setup.hpp"
#include "trainer/model/base_model.hpp"
#include "trainer/model/dropout.hpp"
#include "trainer/model/precision.hpp"

namespace fathom::trainer {

struct TokenizedRows;

// Where a batch's rows stand in a split that is read again and again. The split outlives the batch.
struct RowOrigin {
  const TokenizedRows* split = nullptr;
  std::vector<std::uint32_t> rows;
};

// B rows padded to T tokens, int64. Rows are independent of T up to rounding.
struct Batch {
  at::Tensor input_ids;       // [B, T]
  at::Tensor attention_mask;  // [B, T], 1 = token, 0 = pad
  at::Tensor token_type_ids;  // [B, T]; undefined = zeros
  // Set by those who may use what was kept of the rows' way through the frozen base (recipe fast); else null.
  std::shared_ptr<const RowOrigin> origin;
};

// fast: no dropout in the frozen layers below the lowest active adapter (so that their output can be computed once).
// hf: dropout everywhere, as transformers does in train mode.
enum class Recipe { fast, hf };

struct ForwardOptions {
  std::int64_t drop_depth = 0;             // adapters and fusions of layers 0 … n-1 are skipped
  std::vector<std::int64_t> skip_layers;   // more layers to skip, in any order
  const DropoutSource* dropout = nullptr;  // null = eval mode, no dropout anywhere
  Recipe recipe = Recipe::fast;
  Precision precision = Precision::fp32;
  bool base_trainable = false;    // full fine-tuning: gradients (and dropout) from the embeddings on
  bool fusion_attention = false;  // fill ForwardResult::fusion_attention
  bool hidden_states = false;     // fill ForwardResult::hidden_states
  std::int64_t fusion_calls = 0;  // forward calls before this one: temperature of fusions that have one
};

struct ForwardResult {
  at::Tensor last_hidden_state;  // [B, T, hidden]; Parallel with N children: [N * B, T, hidden], child by child
  std::vector<at::Tensor> hidden_states;  // embeddings, then the output of each layer: layers + 1 entries
  std::vector<FusionAttention> fusion_attention;
};

// Runs the model. Layers below the lowest active adapter run without autograd; above it gradients flow if GradMode is
// on and a tensor requires them.
ForwardResult forward(const BaseModel& model, const Batch& batch, const Setup& setup,
                      const ForwardOptions& options = {});

// forward() at every drop depth of `depths` (any order, repeats allowed), in eval mode without gradients; result i
// belongs to depths[i]. The layers without adapters are computed once for all depths, and depths that activate the
// same adapters once. Equal to single calls bit for bit. options.drop_depth and hidden_states are ignored.
std::vector<ForwardResult> forward_depths(const BaseModel& model, const Batch& batch, const Setup& setup,
                                          const std::vector<std::int64_t>& depths, const ForwardOptions& options = {});

// tanh(pooler(hidden[:, 0])), [B, hidden]. Precondition: model.pooler.
at::Tensor pooled_output(const BaseModel& model, const at::Tensor& last_hidden_state);

}  // namespace fathom::trainer
