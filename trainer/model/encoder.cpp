#include "trainer/model/encoder.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ne.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "trainer/adapters/composition.hpp"

namespace fathom::trainer {
namespace {

// A layer is two half-layers ("stages"): attention with its site, feed-forward with its site. Stage s belongs to layer
// s / 2; adapters act at the end of a stage.
constexpr Site site_of(std::int64_t stage) { return stage % 2 == 0 ? Site::attention : Site::output; }

// One forward call: everything the stages need, and what they collect.
class Pass {
 public:
  Pass(const BaseModel& model, const Batch& batch, const Setup& setup, const ForwardOptions& options)
      : model_(model), setup_(setup), options_(options), batch_(batch.input_ids.size(0)) {
    skip_.assign(model.layers.size(), false);
    for (std::size_t i = 0; i < skip_.size(); ++i) skip_[i] = static_cast<std::int64_t>(i) < options.drop_depth;
    for (const std::int64_t layer : options.skip_layers) {
      if (layer >= 0 && layer < layers()) skip_[static_cast<std::size_t>(layer)] = true;
    }
    boundary_ = first_active_stage();
  }

  [[nodiscard]] std::int64_t layers() const { return static_cast<std::int64_t>(model_.layers.size()); }
  [[nodiscard]] std::int64_t stages() const { return 2 * layers(); }
  // First stage whose site runs an adapter; stages() if none does. Everything before that site is frozen.
  [[nodiscard]] std::int64_t boundary() const { return boundary_; }
  [[nodiscard]] ForwardResult& result() { return result_; }

  void set_mask(const Batch& batch, at::ScalarType type);
  at::Tensor embed(const Batch& batch);
  // Output h of the stage's sub-block for input x [B, T, H].
  at::Tensor sub_block(std::int64_t stage, const at::Tensor& x);
  // The stage's output: adapters, if active, and LayerNorm.
  at::Tensor finish(std::int64_t stage, const at::Tensor& h, const at::Tensor& x);
  // From the middle of `stage` (h and x given) to the end of the encoder.
  at::Tensor run_from(std::int64_t stage, at::Tensor h, at::Tensor x);

 private:
  [[nodiscard]] std::int64_t first_active_stage() const;
  [[nodiscard]] bool active(std::int64_t stage) const {
    return !skip_[static_cast<std::size_t>(stage / 2)] && setup_.active(stage / 2, site_of(stage));
  }
  // Whether gradients can reach the sub-block of `stage` (-1: the embeddings).
  [[nodiscard]] bool differentiable(std::int64_t stage) const { return options_.base_trainable || stage > boundary_; }
  at::Tensor drop(const at::Tensor& x, double p, std::int64_t stage, std::uint32_t site) const;
  [[nodiscard]] at::Tensor product(const Linear& linear, const at::Tensor& x) const;
  at::Tensor attention(const EncoderLayer& layer, std::int64_t stage, const at::Tensor& x);
  at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t stage);

  const BaseModel& model_;
  const Setup& setup_;
  const ForwardOptions& options_;
  std::int64_t batch_;
  std::vector<bool> skip_;
  std::int64_t boundary_ = 0;
  at::Tensor mask_;  // [B, 1, 1, T], 0 for tokens, lowest float for pads; with relative positions [B, heads, T, T]
  ForwardResult result_;
};

std::int64_t Pass::first_active_stage() const {
  for (std::int64_t stage = 0; stage < stages(); ++stage) {
    if (active(stage)) return stage;
  }
  return stages();
}

// Dropout of the base. In the fast recipe the frozen part below the boundary has none.
at::Tensor Pass::drop(const at::Tensor& x, double p, std::int64_t stage, std::uint32_t site) const {
  if (!options_.dropout || p <= 0.0) return x;
  if (options_.recipe == Recipe::fast && !differentiable(stage)) return x;
  return dropout(x, p, *options_.dropout, site);
}

// MPNet's bias on the attention scores, [1, heads, T, T]. The bucket of key j for query i, as in T5: 0-7 for j at or up
// to 7 before i, then logarithmic up to distance 128 (15), and 16 more for keys behind the query.
at::Tensor position_bias(const at::Tensor& table, std::int64_t length) {
  std::vector<std::int64_t> by_distance;
  for (std::int64_t distance = 0; distance < length; ++distance) {
    if (distance < 8) {
      by_distance.push_back(distance);
      continue;
    }
    // In float, as transformers: at powers of two the rounding decides.
    const float share = std::log(static_cast<float>(distance) / 8.0F) / static_cast<float>(std::log(128.0 / 8.0));
    by_distance.push_back(std::min<std::int64_t>(8 + static_cast<std::int64_t>(share * 8.0F), 15));
  }
  std::vector<std::int64_t> buckets;
  buckets.reserve(static_cast<std::size_t>(length * length));
  for (std::int64_t i = 0; i < length; ++i) {
    for (std::int64_t j = 0; j < length; ++j) {
      buckets.push_back(by_distance[static_cast<std::size_t>(std::abs(i - j))] + (j > i ? 16 : 0));
    }
  }
  const at::Tensor ids = at::tensor(buckets, at::kLong).to(table.device()).view({length, length});
  return at::embedding(table, ids).permute({2, 0, 1}).unsqueeze(0);
}

void Pass::set_mask(const Batch& batch, at::ScalarType type) {
  const c10::AutoGradMode grad(c10::GradMode::is_enabled() && options_.base_trainable);
  // Lowest float rather than minus infinity: a row of pads only stays finite, as in transformers.
  const double lowest = type == at::kDouble ? std::numeric_limits<double>::lowest()
                                            : static_cast<double>(std::numeric_limits<float>::lowest());
  mask_ = (1.0 - batch.attention_mask.to(type)).mul_(lowest).unsqueeze(1).unsqueeze(1);
  // One table serves all layers, so the sum is made once.
  if (model_.relative_bias.defined()) mask_ = mask_ + position_bias(model_.relative_bias, batch.input_ids.size(1));
}

// Position ids: 0, 1, 2, … for BERT; for the others tokens count from pad + 1 and pads keep the pad's own position.
at::Tensor position_ids(const ModelConfig& config, const at::Tensor& ids) {
  if (config.family == ModelFamily::bert) return at::arange(ids.size(1), ids.options()).unsqueeze(0);
  const at::Tensor tokens = at::ne(ids, config.position_pad()).to(at::kLong);
  return at::cumsum(tokens, 1) * tokens + config.position_pad();
}

at::Tensor Pass::embed(const Batch& batch) {
  const c10::AutoGradMode grad(c10::GradMode::is_enabled() && options_.base_trainable);
  at::Tensor sum = at::embedding(model_.word_embeddings, batch.input_ids);
  if (model_.type_embeddings.defined()) {
    const at::Tensor types = batch.token_type_ids.defined() ? batch.token_type_ids : at::zeros_like(batch.input_ids);
    sum = sum + at::embedding(model_.type_embeddings, types);
  }
  // The order of the sums is transformers' (words + types, then positions): the rounding is part of equality.
  sum = sum + at::embedding(model_.position_embeddings, position_ids(model_.config, batch.input_ids));
  return drop(model_.embedding_norm(sum), model_.config.hidden_dropout, -1, dropout_site::embeddings);
}

at::Tensor Pass::attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t stage) {
  // After a `parallel` there are several copies of the batch's rows.
  const std::int64_t copies = q.size(0) / mask_.size(0);
  const at::Tensor mask = copies == 1 ? mask_ : mask_.repeat({copies, 1, 1, 1});
  const double p = model_.config.attention_dropout;
  const bool dropping = options_.dropout && p > 0.0 && (options_.recipe == Recipe::hf || differentiable(stage));
  if (!dropping) return at::scaled_dot_product_attention(q, k, v, mask);
  const at::Tensor scores = at::matmul(q, k.transpose(-2, -1)) / std::sqrt(static_cast<double>(q.size(-1))) + mask;
  const std::uint32_t site = dropout_site::in_layer(stage / 2, dropout_site::attention_probabilities);
  return at::matmul(drop(at::softmax(scores, -1), p, stage, site), v);
}

// Rounded to bfloat16, with the gradient of x itself: r - x and x + (r - x) are exact.
at::Tensor rounded(const at::Tensor& x) {
  const at::Tensor detached = x.detach();
  return x + (detached.to(at::kBFloat16).to(x.scalar_type()) - detached);
}

// A matrix of the encoder; in bf16 both factors are rounded, and in backward the gradient that comes in.
at::Tensor Pass::product(const Linear& linear, const at::Tensor& x) const {
  if (options_.precision != Precision::bf16) return linear(x);
  const at::Tensor y = Linear{rounded(linear.weight), linear.bias}(rounded(x));
  if (y.requires_grad()) y.register_hook([](const at::Tensor& gradient) { return rounded(gradient); });
  return y;
}

at::Tensor Pass::attention(const EncoderLayer& layer, std::int64_t stage, const at::Tensor& x) {
  const std::int64_t heads = model_.config.heads;
  const auto split = [&](const at::Tensor& t) {
    return t.view({t.size(0), t.size(1), heads, t.size(2) / heads}).transpose(1, 2);
  };
  const at::Tensor context =
      attend(split(product(layer.query, x)), split(product(layer.key, x)), split(product(layer.value, x)), stage);
  return product(layer.attention_output, context.transpose(1, 2).reshape(x.sizes()));
}

at::Tensor Pass::sub_block(std::int64_t stage, const at::Tensor& x) {
  const c10::AutoGradMode grad(c10::GradMode::is_enabled() && differentiable(stage));
  const EncoderLayer& layer = model_.layers[static_cast<std::size_t>(stage / 2)];
  if (site_of(stage) == Site::attention) {
    const std::uint32_t site = dropout_site::in_layer(stage / 2, dropout_site::attention_output);
    return drop(attention(layer, stage, x), model_.config.hidden_dropout, stage, site);
  }
  const at::Tensor inner = activate(model_.config.activation, product(layer.intermediate, x));
  const std::uint32_t site = dropout_site::in_layer(stage / 2, dropout_site::output);
  return drop(product(layer.output, inner), model_.config.hidden_dropout, stage, site);
}

at::Tensor Pass::finish(std::int64_t stage, const at::Tensor& h, const at::Tensor& x) {
  const c10::AutoGradMode grad(c10::GradMode::is_enabled() && (options_.base_trainable || stage >= boundary_));
  const EncoderLayer& layer = model_.layers[static_cast<std::size_t>(stage / 2)];
  const LayerNorm& norm = site_of(stage) == Site::attention ? layer.attention_norm : layer.output_norm;
  if (!active(stage)) return norm(h + x);
  SiteContext context;
  context.layer = stage / 2;
  context.site = site_of(stage);
  context.norm = &norm;
  context.dropout = options_.dropout;
  context.fusion_dropout = model_.config.attention_dropout;
  context.fusion_calls = options_.fusion_calls;
  context.batch = batch_;
  context.attention = options_.fusion_attention ? &result_.fusion_attention : nullptr;
  return apply_setup(setup_, h, x, context);
}

at::Tensor Pass::run_from(std::int64_t stage, at::Tensor h, at::Tensor x) {
  for (;; h = sub_block(stage, x)) {
    x = finish(stage, h, x);
    if (site_of(stage) == Site::output && options_.hidden_states) result_.hidden_states.push_back(x);
    if (++stage == stages()) return x;
  }
}

void check_batch(const BaseModel& model, const Batch& batch) {
  const at::Tensor& ids = batch.input_ids;
  if (!ids.defined() || ids.dim() != 2 || !batch.attention_mask.defined() ||
      batch.attention_mask.sizes() != ids.sizes()) {
    throw std::invalid_argument("batch: input_ids and attention_mask must be matrices of one shape");
  }
  if (ids.size(0) == 0 || ids.size(1) == 0) throw std::invalid_argument("batch: no rows");
  if (ids.size(1) > model.config.max_length()) {
    throw std::invalid_argument(fmt::format("batch: {} tokens, but model \"{}\" has positions for {}", ids.size(1),
                                            model.config.name, model.config.max_length()));
  }
}

}  // namespace

ForwardResult forward(const BaseModel& model, const Batch& batch, const Setup& setup, const ForwardOptions& options) {
  check_batch(model, batch);
  Pass pass(model, batch, setup, options);
  pass.set_mask(batch, model.word_embeddings.scalar_type());
  const at::Tensor x = pass.embed(batch);
  if (options.hidden_states) pass.result().hidden_states.push_back(x);
  pass.result().last_hidden_state = pass.run_from(0, pass.sub_block(0, x), x);
  return std::move(pass.result());
}

std::vector<ForwardResult> forward_depths(const BaseModel& model, const Batch& batch, const Setup& setup,
                                          const std::vector<std::int64_t>& depths, const ForwardOptions& options) {
  check_batch(model, batch);
  const c10::NoGradGuard no_grad;
  ForwardOptions plain = options;
  plain.dropout = nullptr;
  plain.hidden_states = false;
  std::vector<ForwardOptions> at_depth(depths.size(), plain);
  std::vector<Pass> passes;
  for (std::size_t i = 0; i < depths.size(); ++i) {
    at_depth[i].drop_depth = depths[i];
    passes.emplace_back(model, batch, setup, at_depth[i]);
    passes.back().set_mask(batch, model.word_embeddings.scalar_type());
  }
  // The trunk runs without adapters; each depth leaves it where its lowest adapter acts. Depths that leave it at the
  // same stage activate the same adapters, so the first of them stands for all.
  plain.drop_depth = model.config.layers;
  Pass trunk(model, batch, setup, plain);
  trunk.set_mask(batch, model.word_embeddings.scalar_type());
  std::vector<ForwardResult> results(depths.size());
  at::Tensor x = trunk.embed(batch);
  for (std::int64_t stage = 0; stage < trunk.stages() && !passes.empty(); ++stage) {
    const at::Tensor h = trunk.sub_block(stage, x);
    const ForwardResult* same = nullptr;
    for (std::size_t i = 0; i < passes.size(); ++i) {
      if (passes[i].boundary() != stage) continue;
      if (!same) passes[i].result().last_hidden_state = passes[i].run_from(stage, h, x);
      results[i] = same ? *same : passes[i].result();
      same = &results[i];
    }
    x = trunk.finish(stage, h, x);
  }
  for (std::size_t i = 0; i < passes.size(); ++i) {
    if (passes[i].boundary() == trunk.stages()) results[i].last_hidden_state = x;
  }
  return results;
}

at::Tensor pooled_output(const BaseModel& model, const at::Tensor& last_hidden_state) {
  if (!model.pooler) throw std::invalid_argument("the base model has no pooler");
  return at::tanh((*model.pooler)(last_hidden_state.select(1, 0)));
}

}  // namespace fathom::trainer
