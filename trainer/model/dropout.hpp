// Dropout without generator state: a mask element is a function of (seed, step, site, row, position in the row), so a
// resumed job, another thread count, another padding length or another packing draws the same masks.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace fathom::trainer {

// What one optimizer step of one job draws from. `first_row` is the number of the batch's first row within the
// optimizer step: a step split into micro-batches draws the masks of the whole batch.
struct DropoutSource {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  std::int64_t first_row = 0;
};

// Sites: where in the model a mask is applied. Numbers are stable; they enter the hash.
namespace dropout_site {
inline constexpr std::uint32_t embeddings = 0;
inline constexpr std::uint32_t head = 1;  // + 2 * layer of the head
inline constexpr std::uint32_t attention_probabilities = 0;
inline constexpr std::uint32_t attention_output = 1;
inline constexpr std::uint32_t output = 2;
inline constexpr std::uint32_t fusion_scores = 4;  // + 0 attention, + 1 output
inline constexpr std::uint32_t adapter = 8;        // + 2 * number of the adapter in the setup + site
// The site of `kind` (one of the five above) in encoder layer `layer`.
constexpr std::uint32_t in_layer(std::int64_t layer, std::uint32_t kind) {
  return (static_cast<std::uint32_t>(layer) + 1) * 4096u + kind;
}
}  // namespace dropout_site

// x * mask / (1 - p), elementwise, with gradient x' = mask / (1 - p). Dimension 0 of x is the row; two elements at the
// same (row, other indices) get the same mask whatever the sizes of the dimensions are. p in [0, 1); p = 0 returns x.
// Any number of dimensions up to four, sizes of the inner ones up to 65536. Float or double; on a
// GPU the CUDA module draws the very same masks.
at::Tensor dropout(const at::Tensor& x, double p, const DropoutSource& source, std::uint32_t site);

}  // namespace fathom::trainer
