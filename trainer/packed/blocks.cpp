#include "trainer/packed/blocks.hpp"

#include <algorithm>

#include "trainer/packed/inlet.hpp"

namespace fathom::trainer::packed {

Blocks::Blocks(const Run& run, const Layout& layout, bool keep)
    : run_(run), layout_(layout), keep_(keep), kept_(static_cast<std::size_t>(2 * run.base.config().layers)) {
  if (!keep_) return;
  inner_ = run_.arena.take(layout.tokens * run_.base.config().intermediate);
  context_ = run_.arena.take(layout.tokens * run_.hidden());
}

Flow Blocks::embed(Parts parts) const {
  const Rows all = tokens(parts);
  EmbedArgs args;
  args.width = run_.hidden();
  args.ids = layout_.ids.data();
  args.type_ids = layout_.types.data();
  args.position_ids = layout_.positions.data();
  args.words = run_.base.words();
  args.types = run_.base.types();
  args.positions = run_.base.positions();
  args.out = run_.take(all, run_.hidden());
  run_.embed(args, all.count);
  for (const auto& part : parts) {
    const auto first = part.rows.first_token, count = part.rows.last_token - first;
    float* rows = args.out + first * run_.hidden();
    NormArgs norm;
    norm.width = run_.hidden();
    norm.product = rows;
    add_norm(norm, run_.base.embedding_norm(), rows);
    norm.places = all.places + first;
    norm.mask_after =
        part.run.mask(run_.base.config().hidden_dropout, dropout_site::embeddings, part.recipe == Recipe::hf);
    run_.norm(norm, {count, norm.places});
  }
  return {args.out, all, false};
}

float* Blocks::forward(std::int64_t stage, Flow& flow, Parts parts) {
  return stage % 2 == 0 ? attention(stage, flow, parts) : feed_forward(stage, flow, parts);
}

Arrival Blocks::arrival(std::int64_t stage, float* product, const Flow& flow, const Part& part) const {
  const auto& layer = run_.base.layer(stage / 2);
  const bool attention = stage % 2 == 0;
  const auto first = start(part, flow.first_only), at = first * run_.hidden();
  const auto last = flow.first_only ? part.rows.last_sequence : part.rows.last_token;
  const auto kind = attention ? dropout_site::attention_output : dropout_site::output;
  const Mask mask =
      part.run.mask(run_.base.config().hidden_dropout, dropout_site::in_layer(stage / 2, kind), part.masked(stage));
  return {product + at,
          attention ? layer.attention_output.bias : layer.output.bias,
          mask,
          flow.x + at,
          attention ? layer.attention_norm : layer.output_norm,
          {last - first, flow.rows.places + first}};
}

float* Blocks::backward(std::int64_t stage, const Departure& departure, Parts parts) {
  if (stage % 2 == 0) return attention_back(stage, departure, parts);
  const auto& layer = run_.base.layer(stage / 2);
  const Rows rows = last_layer(stage) ? firsts(parts) : tokens(parts);
  const std::int64_t wide = run_.base.config().intermediate;
  float* d_inner = run_.take(rows, wide);
  run_.product(layer.output.weight, Way::backward,
               {.rows = rows.count,
                .a = departure.d_product,
                .c = d_inner,
                .times = kept_[static_cast<std::size_t>(stage)].slope});
  run_.product(layer.intermediate.weight, Way::backward,
               {.rows = rows.count, .a = d_inner, .c = departure.d_x, .add = true});
  return departure.d_x;
}

float* Blocks::gather(const float* x, std::int64_t sequences) const {
  const std::int64_t hidden = run_.hidden();
  float* rows = run_.arena.take(sequences * hidden);
  for (std::int64_t s = 0; s < sequences; ++s) {
    const float* from = x + layout_.offsets[static_cast<std::size_t>(s)] * hidden;
    std::copy(from, from + hidden, rows + s * hidden);
  }
  return rows;
}

void Blocks::scatter_add(float* x, const float* rows, std::int64_t sequences) const {
  const std::int64_t hidden = run_.hidden();
  for (std::int64_t s = 0; s < sequences; ++s) {
    float* to = x + layout_.offsets[static_cast<std::size_t>(s)] * hidden;
    for (std::int64_t j = 0; j < hidden; ++j) to[j] += rows[s * hidden + j];
  }
}

// The arguments of attention but for its results and what differs by part; products of x with the weights are made
// here.
AttentionArgs Blocks::heads(const Flow& in, std::int64_t stage, Parts parts) const {
  const auto& layer = run_.base.layer(stage / 2);
  const auto& config = run_.base.config();
  const std::int64_t hidden = run_.hidden();
  AttentionArgs args;
  args.heads = config.heads;
  args.head = hidden / config.heads;
  args.k_offsets = layout_.offsets.data();
  args.q_bias = layer.qkv_bias;
  args.k_bias = layer.qkv_bias + hidden;
  args.v_bias = layer.qkv_bias + 2 * hidden;
  args.out_stride = hidden;
  const Rows all = tokens(parts);
  if (last_layer(stage)) {
    const Rows first = firsts(parts);
    float* q = run_.take(first, hidden);
    float* kv = run_.take(all, 2 * hidden);
    run_.product(layer.q, Way::forward, {.rows = first.count, .a = gather(in.x, first.count), .c = q});
    run_.product(layer.kv, Way::forward, {.rows = all.count, .a = in.x, .c = kv});
    args.q = q;
    args.k = kv;
    args.q_offsets = layout_.first_offsets.data();
    args.q_stride = hidden;
    args.k_stride = 2 * hidden;
  } else {
    float* all_three = run_.take(all, 3 * hidden);
    run_.product(layer.qkv, Way::forward, {.rows = all.count, .a = in.x, .c = all_three});
    args.q = all_three;
    args.k = all_three + hidden;
    args.q_offsets = args.k_offsets;
    args.q_stride = args.k_stride = 3 * hidden;
  }
  args.v = args.k + hidden;
  return args;
}

void Blocks::attend(AttentionArgs args, std::int64_t stage, Parts parts, bool backward) const {
  const auto site = dropout_site::in_layer(stage / 2, dropout_site::attention_probabilities);
  const auto *q_offsets = args.q_offsets, *k_offsets = args.k_offsets;
  for (const auto& part : parts) {
    const auto first = part.rows.first_sequence;
    args.sequences = part.rows.last_sequence - first;
    args.q_offsets = q_offsets + first;
    args.k_offsets = k_offsets + first;
    args.first_row = layout_.first_places[static_cast<std::size_t>(first)].row;
    args.mask = part.run.mask(run_.base.config().attention_dropout, site, part.masked(stage));
    run_.attend(args, layout_.longest, backward);
  }
}

float* Blocks::attention(std::int64_t stage, Flow& flow, Parts parts) {
  const auto& layer = run_.base.layer(stage / 2);
  const std::int64_t hidden = run_.hidden();
  AttentionArgs args = heads(flow, stage, parts);
  if (last_layer(stage)) flow = {gather(flow.x, firsts(parts).count), firsts(parts), true};
  float* context = args.out = keep_ ? context_ : run_.take(flow.rows, hidden);
  attend(args, stage, parts, /*backward=*/false);
  if (keep_ && parts.front().above(stage)) kept_[static_cast<std::size_t>(stage)] = {args, nullptr, flow.first_only};
  float* product = run_.take(flow.rows, hidden);
  run_.product(layer.attention_output.weight, Way::forward, {.rows = flow.rows.count, .a = context, .c = product});
  return product;
}

float* Blocks::feed_forward(std::int64_t stage, const Flow& flow, Parts parts) {
  const auto& layer = run_.base.layer(stage / 2);
  const auto& config = run_.base.config();
  const std::int64_t hidden = run_.hidden(), wide = config.intermediate;
  const bool keep = keep_ && parts.front().above(stage);
  float* u = run_.take(flow.rows, wide);
  float* inner = keep ? inner_ : u;
  Curve curve = Curve::gelu;
  curve_of(config.activation, &curve);
  run_.product(layer.intermediate.weight, Way::forward,
               {.rows = flow.rows.count,
                .a = flow.x,
                .c = u,
                .curve = curve,
                .bias = layer.intermediate.bias,
                .y = inner,
                .derivative = keep});
  float* product = run_.take(flow.rows, hidden);
  run_.product(layer.output.weight, Way::forward, {.rows = flow.rows.count, .a = inner, .c = product});
  if (keep) kept_[static_cast<std::size_t>(stage)].slope = u;
  return product;
}

float* Blocks::attention_back(std::int64_t stage, const Departure& departure, Parts parts) {
  const auto& layer = run_.base.layer(stage / 2);
  const std::int64_t hidden = run_.hidden();
  const auto& kept = kept_[static_cast<std::size_t>(stage)];
  const Rows all = tokens(parts), rows = kept.first_only ? firsts(parts) : all;
  float* d_context = run_.take(rows, hidden);
  run_.product(layer.attention_output.weight, Way::backward,
               {.rows = rows.count, .a = departure.d_product, .c = d_context});
  AttentionArgs args = kept.attention;
  args.d_out = d_context;
  if (kept.first_only) {
    args.d_q = run_.take(rows, hidden);
    args.d_k = run_.take(all, 2 * hidden);
    args.d_q_stride = hidden;
    args.d_k_stride = 2 * hidden;
  } else {
    args.d_q = run_.take(rows, 3 * hidden);
    args.d_k = args.d_q + hidden;
    args.d_q_stride = args.d_k_stride = 3 * hidden;
  }
  args.d_v = args.d_k + hidden;
  attend(args, stage, parts, /*backward=*/true);
  if (!kept.first_only) {
    run_.product(layer.qkv, Way::backward, {.rows = rows.count, .a = args.d_q, .c = departure.d_x, .add = true});
    return departure.d_x;
  }
  run_.product(layer.q, Way::backward, {.rows = rows.count, .a = args.d_q, .c = departure.d_x, .add = true});
  float* d_x = run_.take(all, hidden);
  run_.product(layer.kv, Way::backward, {.rows = all.count, .a = args.d_k, .c = d_x});
  scatter_add(d_x, departure.d_x, rows.count);
  return d_x;
}

}  // namespace fathom::trainer::packed
