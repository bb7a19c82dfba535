// The inner loops of the packed engine: plain functions over raw float32 memory, compiled once for each width of vector
// unit and chosen at start. No Torch in here, so that they compile in seconds.
//
// Rows are tokens without padding, one after the other, sequence by sequence. Every function works on the half-open
// range [first, last) of its unit (tokens, elements, or pairs of sequence and head), so that threads share the work;
// what a unit's result is does not depend on the range it is computed in. Buffers belong to the caller and may not
// overlap unless a comment says so. Nothing throws.
#pragma once

#include <cstdint>

#include "trainer/model/precision.hpp"

namespace fathom::trainer::packed {

// Where a token stands: its row in its job's optimizer step, its position in that row, and, in a pass over rows of
// several jobs, the number of its job. Dropout masks are drawn by these; here a call has rows of one job.
struct Place {
  std::int32_t row = 0;
  std::int32_t position = 0;
  std::int32_t job = 0;
};

// A dropout mask as dropout() of trainer/model draws it; off: all ones.
struct Mask {
  bool on = false;
  std::uint64_t base = 0;
  std::uint32_t threshold = 0;
  float kept = 1;
};

// Activation functions that have a loop here.
enum class Curve { identity, relu, gelu, gelu_tanh, silu, tanh };

// out[t] = words[ids[t]] + types[type_ids[t]] + positions[position_ids[t]], each a row of `width`. types may be null.
struct EmbedArgs {
  std::int64_t width = 0;
  const std::int32_t *ids = nullptr, *type_ids = nullptr, *position_ids = nullptr;
  const float *words = nullptr, *types = nullptr, *positions = nullptr;
  float* out = nullptr;
};

// part = mask(scale * (product + bias)); sum = part + residual + more; y = LayerNorm(sum), then its own mask.
// All of [tokens, width]. `part`, `sum` and `y` may each be `product` itself, and each is left away when null (y also
// when gamma is). stats: mean and 1/deviation of each token, [tokens, 2].
struct NormArgs {
  std::int64_t width = 0;
  const float* product = nullptr;
  const float* bias = nullptr;  // [width] or null
  float scale = 1;
  Mask mask;
  const Place* places = nullptr;  // [tokens]; needed where a mask is on
  float* part = nullptr;
  const float *residual = nullptr, *more = nullptr;
  float* sum = nullptr;
  const float *gamma = nullptr, *beta = nullptr;
  float eps = 0;
  float* y = nullptr;
  float* stats = nullptr;
  Mask mask_after;  // on y
};

// The gradient of y = LayerNorm(sum) with frozen gamma and beta: d_sum = add + LayerNorm'(d_y), d_part = scale *
// mask(d_sum). Without gamma d_sum = d_y + add. `add` may be null; d_sum and d_part are left away when null and may be
// d_y or add themselves.
struct NormBackArgs {
  std::int64_t width = 0;
  const float *d_y = nullptr, *sum = nullptr, *stats = nullptr, *gamma = nullptr, *add = nullptr;
  float* d_sum = nullptr;
  float scale = 1;
  Mask mask;
  const Place* places = nullptr;
  float* d_part = nullptr;
};

// y = curve(u + bias) for u [tokens, width]; u becomes curve'(u + bias) where `derivative`. y may be u where not.
struct ActivateArgs {
  std::int64_t width = 0;
  Curve curve = Curve::identity;
  float* u = nullptr;
  const float* bias = nullptr;  // may be null
  float* y = nullptr;
  bool derivative = false;
};

// Attention of every head within every sequence. Sequence s has its queries in rows q_ends[s-1] … q_ends[s]-1 of q (all
// of its tokens, or only the first) and its keys and values in rows k_ends[s-1] … of k and v. Units are pairs: unit =
// sequence * heads + head, so that all heads of a row are read while it is in the cache. out = mask(softmax(q kᵀ /
// sqrt(head))) v, rows as q's.
struct AttentionArgs {
  std::int64_t sequences = 0, heads = 0, head = 0;                // head: width of one head
  const std::int64_t *q_offsets = nullptr, *k_offsets = nullptr;  // [sequences + 1]
  const float *q = nullptr, *k = nullptr, *v = nullptr;
  std::int64_t q_stride = 0, k_stride = 0;                              // between rows; v has k's
  const float *q_bias = nullptr, *k_bias = nullptr, *v_bias = nullptr;  // [heads * head]
  Mask mask;                                                            // on the weights
  std::int64_t first_row = 0;                                           // number of sequence 0 in the step
  float* out = nullptr;                                                 // [queries, heads * head]
  std::int64_t out_stride = 0;
  // Backward only: gradients of out and of q, k, v (before the bias, equal to after it), with their strides.
  const float* d_out = nullptr;
  float *d_q = nullptr, *d_k = nullptr, *d_v = nullptr;
  std::int64_t d_q_stride = 0, d_k_stride = 0;
};

// AdapterFusion over members whose bottlenecks stand side by side: member i has columns offsets[i] … offsets[i+1]-1 of
// every [tokens, offsets[members]] buffer here. With g = W_kᵀ q the score of member i is g·u_i for its output u_i = U_i
// a_i + b_i, so neither keys nor values of members are ever made:
//   score_i = mask(a_i · (U_iᵀ g) + g·b_i + shift); weights = softmax(scores); weighted_i = weights_i a_i.
struct FusionArgs {
  std::int64_t members = 0;
  const std::int64_t* offsets = nullptr;
  const float* inner = nullptr;       // a
  const float* query_up = nullptr;    // U_iᵀ g
  const float* query_bias = nullptr;  // g·b_i [tokens, members]
  const float* shift = nullptr;       // [tokens], or null: it moves all scores alike and so matters under a mask only
  Mask mask;
  const Place* places = nullptr;
  float* weights = nullptr;   // [tokens, members]
  float* weighted = nullptr;  // [tokens, columns]
  // Backward, where m = Σ weights_i u_i has the gradient d_m: d_scores, d_scored_i = d_scores_i a_i, and d_inner unless
  // it is null.
  const float* d_up = nullptr;    // U_iᵀ d_m
  const float* d_bias = nullptr;  // d_m·b_i [tokens, members]
  float *d_scores = nullptr, *d_scored = nullptr, *d_inner = nullptr;
};

// c [rows, n] = a [rows, k] · b, or c += with `add`, for a matrix b [k, n] as Products::pack() has laid it; then c *=
// times, element by element, unless that is null. With y, which may be c: y = curve(c + bias), and c becomes curve'(c +
// bias) where `derivative`. Units are rows; a row's result does not depend on the rows beside it.
struct ProductArgs {
  std::int64_t rows = 0, n = 0, k = 0;
  const float* a = nullptr;
  const void* b = nullptr;
  float* c = nullptr;
  std::int64_t a_stride = 0, c_stride = 0;
  bool add = false;
  const float* times = nullptr;  // [rows, n], rows as c's
  Curve curve = Curve::identity;
  const float* bias = nullptr;  // [n] or null
  float* y = nullptr;
  std::int64_t y_stride = 0;
  bool derivative = false;
};

// c [m, n] = a [k, m]ᵀ · b [k, n], or c += with `add`: the sum over k rows of their outer products, one row after the
// other, as weights have their gradients. No gaps between rows. Units are parts of c, outer_units(m, n) of them.
struct OuterArgs {
  std::int64_t m = 0, n = 0, k = 0;
  const float *a = nullptr, *b = nullptr;
  float* c = nullptr;
  bool add = false;
};

// One update of AdamW, for elements of any tensors that share these numbers: g = clip * gradient; mean += mean_rate (g
// - mean); square = square_keep * square + square_rate g²; value = keep * value - rate * mean / (sqrt(square) /
// root_correction + eps). Units are elements.
struct AdamWArgs {
  float *value = nullptr, *mean = nullptr, *square = nullptr;
  const float* gradient = nullptr;
  float clip = 1;
  float mean_rate = 0;                     // 1 - beta1
  float square_keep = 0, square_rate = 0;  // beta2, 1 - beta2
  float keep = 1;                          // 1 - learning rate * weight decay
  float rate = 0;                          // learning rate / (1 - beta1^step)
  float root_correction = 1;               // sqrt(1 - beta2^step)
  float eps = 0;
};

// Products at one precision.
struct Products {
  std::int64_t tile;  // rows that are summed together: ranges should not be shorter
  // Floats of a packed matrix b [k, n], and laying it: b(i, j) = b[j * n_stride + i * k_stride].
  std::int64_t (*packed)(std::int64_t n, std::int64_t k);
  void (*pack)(float* to, const float* b, std::int64_t n, std::int64_t k, std::int64_t n_stride, std::int64_t k_stride);
  std::int64_t (*scratch)(std::int64_t k);  // floats that a thread needs
  void (*run)(const ProductArgs&, float* scratch, std::int64_t first, std::int64_t last);
};

struct Kernels {
  const char* name;  // of the instruction set
  Products fp32;
  // Factors rounded to bfloat16, sums in float32; run is null where the CPU has no such products.
  Products bf16;
  void (*embed)(const EmbedArgs&, std::int64_t first, std::int64_t last);             // tokens
  void (*norm)(const NormArgs&, std::int64_t first, std::int64_t last);               // tokens
  void (*norm_back)(const NormBackArgs&, std::int64_t first, std::int64_t last);      // tokens
  void (*activate)(const ActivateArgs&, std::int64_t first, std::int64_t last);       // tokens
  void (*multiply)(float* x, const float* y, std::int64_t first, std::int64_t last);  // elements: x *= y
  // Elements of out [width]: out += the sum of x [rows, width] over its rows, one after the other.
  void (*sum_rows)(float* out, const float* x, std::int64_t rows, std::int64_t width, std::int64_t first,
                   std::int64_t last);
  std::int64_t (*outer_units)(std::int64_t m, std::int64_t n);
  void (*outer)(const OuterArgs&, std::int64_t first, std::int64_t last);
  void (*fuse)(const FusionArgs&, std::int64_t first, std::int64_t last);       // tokens
  void (*fuse_back)(const FusionArgs&, std::int64_t first, std::int64_t last);  // tokens
  // Floats of scratch that a thread needs for sequences of at most `longest` tokens.
  std::int64_t (*attention_scratch)(std::int64_t longest, std::int64_t head);
  void (*attend)(const AttentionArgs&, float* scratch, std::int64_t first, std::int64_t last);       // pairs
  void (*attend_back)(const AttentionArgs&, float* scratch, std::int64_t first, std::int64_t last);  // pairs
  void (*adamw)(const AdamWArgs&, std::int64_t first, std::int64_t last);                            // elements
};

// The fastest that this CPU runs. FATHOM_KERNELS=plain|avx2|avx512|avx512bf16|avx512rounded|amx takes another one, for
// comparison.
const Kernels& kernels();
inline const Products& products_of(Precision precision) {
  return precision == Precision::bf16 ? kernels().bf16 : kernels().fp32;
}
// Every one that this CPU runs, the fastest last: for tests.
const Kernels* const* all_kernels(int* count);

}  // namespace fathom::trainer::packed
