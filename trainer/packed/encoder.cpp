#include "trainer/packed/encoder.hpp"

#include <algorithm>

#include "trainer/packed/inlet.hpp"

namespace fathom::trainer::packed {
namespace {

constexpr Site site_of(std::int64_t stage) { return stage % 2 == 0 ? Site::attention : Site::output; }

}  // namespace

Sites sites_of(const Setup& setup, std::int64_t layers, const ForwardOptions& options) {
  Sites sites;
  sites.boundary = 2 * layers;
  for (std::int64_t stage = 0; stage < 2 * layers; ++stage) {
    const bool active = stage / 2 >= options.drop_depth && setup.active(stage / 2, site_of(stage));
    if (active && sites.boundary == 2 * layers) sites.boundary = stage;
    if (!active)
      sites.passes.push_back(plain_site());
    else if (setup.kind == SetupKind::fuse)
      sites.passes.push_back(fusion_site(setup, stage / 2, site_of(stage)));
    else
      sites.passes.push_back(adapter_site(*setup.adapter, stage / 2, site_of(stage)));
  }
  return sites;
}

Encoder::Encoder(const Run& run, const Layout& layout, Recipe recipe, bool keep)
    : run_(run), layout_(layout), recipe_(recipe), keep_(keep), kept_(static_cast<std::size_t>(stages())) {
  if (!keep_) return;
  inner_ = run_.take(all(), run_.base.config().intermediate);
  context_ = run_.take(all(), run_.hidden());
}

Flow Encoder::embed() const {
  EmbedArgs args;
  args.width = run_.hidden();
  args.ids = layout_.ids.data();
  args.type_ids = layout_.types.data();
  args.position_ids = layout_.positions.data();
  args.words = run_.base.words();
  args.types = run_.base.types();
  args.positions = run_.base.positions();
  args.out = run_.take(all(), run_.hidden());
  run_.embed(args, layout_.tokens);
  NormArgs norm;
  norm.width = run_.hidden();
  norm.product = args.out;
  add_norm(norm, run_.base.embedding_norm(), args.out);
  norm.places = layout_.places.data();
  norm.mask_after = run_.mask(run_.base.config().hidden_dropout, dropout_site::embeddings, recipe_ == Recipe::hf);
  run_.norm(norm, all());
  return {args.out, all(), false};
}

Arrival Encoder::sub_block(std::int64_t stage, Flow& flow, std::int64_t boundary) {
  // In the fast recipe the frozen part below the lowest adapter has no dropout.
  const bool above = stage > boundary, dropout = above || recipe_ == Recipe::hf;
  return site_of(stage) == Site::attention ? attention(stage, flow, dropout, keep_ && above)
                                           : feed_forward(stage, flow, dropout, keep_ && above);
}

float* Encoder::gather(const float* x) const {
  const std::int64_t hidden = run_.hidden();
  float* rows = run_.take(firsts(), hidden);
  for (std::int64_t s = 0; s < layout_.sequences; ++s) {
    const float* from = x + layout_.offsets[static_cast<std::size_t>(s)] * hidden;
    std::copy(from, from + hidden, rows + s * hidden);
  }
  return rows;
}

void Encoder::scatter_add(float* x, const float* rows) const {
  const std::int64_t hidden = run_.hidden();
  for (std::int64_t s = 0; s < layout_.sequences; ++s) {
    float* to = x + layout_.offsets[static_cast<std::size_t>(s)] * hidden;
    for (std::int64_t j = 0; j < hidden; ++j) to[j] += rows[s * hidden + j];
  }
}

// The arguments of attention but for its results; products of x with the weights are made here.
AttentionArgs Encoder::heads(const Flow& in, std::int64_t stage, bool dropout) const {
  const auto& layer = run_.base.layer(stage / 2);
  const auto& config = run_.base.config();
  const std::int64_t hidden = run_.hidden();
  AttentionArgs args;
  args.sequences = layout_.sequences;
  args.heads = config.heads;
  args.head = hidden / config.heads;
  args.k_offsets = layout_.offsets.data();
  args.q_bias = layer.qkv_bias;
  args.k_bias = layer.qkv_bias + hidden;
  args.v_bias = layer.qkv_bias + 2 * hidden;
  args.mask = run_.mask(config.attention_dropout,
                        dropout_site::in_layer(stage / 2, dropout_site::attention_probabilities), dropout);
  args.first_row = layout_.first_places.front().row;
  args.out_stride = hidden;
  if (last_layer(stage)) {
    float* q = run_.take(firsts(), hidden);
    float* kv = run_.take(all(), 2 * hidden);
    run_.product(layer.q, Way::forward, {.rows = layout_.sequences, .a = gather(in.x), .c = q});
    run_.product(layer.kv, Way::forward, {.rows = layout_.tokens, .a = in.x, .c = kv});
    args.q = q;
    args.k = kv;
    args.q_offsets = layout_.first_offsets.data();
    args.q_stride = hidden;
    args.k_stride = 2 * hidden;
  } else {
    float* all_three = run_.take(all(), 3 * hidden);
    run_.product(layer.qkv, Way::forward, {.rows = layout_.tokens, .a = in.x, .c = all_three});
    args.q = all_three;
    args.k = all_three + hidden;
    args.q_offsets = args.k_offsets;
    args.q_stride = args.k_stride = 3 * hidden;
  }
  args.v = args.k + hidden;
  return args;
}

Arrival Encoder::attention(std::int64_t stage, Flow& flow, bool dropout, bool keep) {
  const auto& layer = run_.base.layer(stage / 2);
  const std::int64_t hidden = run_.hidden();
  AttentionArgs args = heads(flow, stage, dropout);
  if (last_layer(stage)) flow = {gather(flow.x), firsts(), true};
  float* context = args.out = keep_ ? context_ : run_.take(flow.rows, hidden);
  run_.attend(args, layout_.longest, /*backward=*/false);
  if (keep) kept_[static_cast<std::size_t>(stage)] = {args, nullptr, flow.first_only};
  float* product = run_.take(flow.rows, hidden);
  run_.product(layer.attention_output.weight, Way::forward, {.rows = flow.rows.count, .a = context, .c = product});
  const auto site = dropout_site::in_layer(stage / 2, dropout_site::attention_output);
  return arrival_at(stage, product, flow, run_.mask(run_.base.config().hidden_dropout, site, dropout));
}

Arrival Encoder::feed_forward(std::int64_t stage, const Flow& flow, bool dropout, bool keep) {
  const auto& layer = run_.base.layer(stage / 2);
  const auto& config = run_.base.config();
  const std::int64_t hidden = run_.hidden(), wide = config.intermediate;
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
  const auto site = dropout_site::in_layer(stage / 2, dropout_site::output);
  return arrival_at(stage, product, flow, run_.mask(config.hidden_dropout, site, dropout));
}

Arrival Encoder::arrival_at(std::int64_t stage, float* product, const Flow& flow, Mask mask) const {
  const auto& layer = run_.base.layer(stage / 2);
  const bool attention = site_of(stage) == Site::attention;
  return {product, attention ? layer.attention_output.bias : layer.output.bias, mask,
          flow.x,  attention ? layer.attention_norm : layer.output_norm,        flow.rows};
}

const float* Encoder::run_from(std::int64_t stage, Arrival arrival, Flow flow, const Sites& sites) {
  // Below the boundary nothing is kept: two buffers take turns, and the rest of a stage's memory serves the next one.
  float* turns[2] = {};
  if (!keep_ || stage < sites.boundary) {
    for (float*& turn : turns) turn = run_.take(flow.rows, run_.hidden());
  }
  auto start = run_.arena.mark();
  for (;; arrival = sub_block(stage, flow, sites.boundary)) {
    const bool keep = keep_ && stage >= sites.boundary;
    float* y = keep ? run_.take(flow.rows, run_.hidden()) : turns[stage % 2];
    sites.passes[static_cast<std::size_t>(stage)]->forward(run_, arrival, y, keep, stage > sites.boundary);
    flow.x = y;
    if (!keep) run_.arena.rewind(start);
    if (++stage == stages()) return y;
    start = run_.arena.mark();
  }
}

void Encoder::read_from(PrefixSplit& split, std::span<const std::uint32_t> rows) {
  split_ = &split;
  rows_.assign(rows.begin(), rows.end());
}

Arrival Encoder::kept_arrival(std::int64_t stage, Flow& flow) {
  flow.first_only = last_layer(stage);
  flow.rows = flow.first_only ? firsts() : all();
  const auto& starts = flow.first_only ? layout_.first_offsets : layout_.offsets;
  float* x = run_.take(flow.rows, run_.hidden());
  float* product = run_.take(flow.rows, run_.hidden());
  std::vector<std::int64_t> missing;
  for (std::int64_t s = 0; s < layout_.sequences; ++s) {
    const auto at = starts[static_cast<std::size_t>(s)] * run_.hidden();
    if (!split_->read(stage, rows_[static_cast<std::size_t>(s)], x + at, product + at)) missing.push_back(s);
  }
  if (!missing.empty()) fill(stage, missing, x, product);
  flow.x = x;
  return arrival_at(stage, product, flow, {});
}

void Encoder::fill(std::int64_t stage, const std::vector<std::int64_t>& missing, float* x, float* product) {
  const auto start = run_.arena.mark();
  const Layout part = part_of(layout_, missing);
  std::vector<std::uint32_t> rows;
  for (const auto s : missing) rows.push_back(rows_[static_cast<std::size_t>(s)]);
  Encoder sub(run_, part, Recipe::fast, /*keep=*/false);
  sub.read_from(*split_, rows);
  Flow flow;
  const Arrival arrival = sub.trunk(stage, flow);
  const std::int64_t hidden = run_.hidden();
  const auto& from = flow.first_only ? part.first_offsets : part.offsets;
  const auto& to = flow.first_only ? layout_.first_offsets : layout_.offsets;
  for (std::size_t i = 0; i < missing.size(); ++i) {
    const auto first = from[i] * hidden, last = from[i + 1] * hidden;
    const auto at = to[static_cast<std::size_t>(missing[i])] * hidden;
    split_->write(stage, rows[i], arrival.x + first, arrival.product + first);
    std::copy(arrival.x + first, arrival.x + last, x + at);
    std::copy(arrival.product + first, arrival.product + last, product + at);
  }
  run_.arena.rewind(start);
}

Arrival Encoder::trunk(std::int64_t stage, Flow& flow) {
  const Sites none = sites_of(Setup::none(), run_.base.config().layers, {});
  float* turns[2] = {run_.take(all(), run_.hidden()), run_.take(all(), run_.hidden())};
  auto at = stage > 0 ? split_->best(stage - 1) : -1;
  Arrival arrival;
  if (at >= 0) {
    arrival = kept_arrival(at, flow);
  } else {
    at = 0;
    flow = embed();
    arrival = sub_block(0, flow, stages());
  }
  auto start = run_.arena.mark();
  for (; at < stage; arrival = sub_block(++at, flow, stages())) {
    none.passes[static_cast<std::size_t>(at)]->forward(run_, arrival, turns[at % 2], false, false);
    flow.x = turns[at % 2];
    run_.arena.rewind(start);
    start = run_.arena.mark();
  }
  return arrival;
}

const float* Encoder::run_all(const Sites& sites) {
  Flow flow;
  const auto start = split_ ? split_->best(std::min(sites.boundary, stages() - 1)) : -1;
  if (start >= 0) {
    const Arrival arrival = kept_arrival(start, flow);
    return run_from(start, arrival, flow, sites);
  }
  flow = embed();
  const Arrival first = sub_block(0, flow, sites.boundary);
  return run_from(0, first, flow, sites);
}

std::vector<const float*> Encoder::run_branches(const std::vector<Branch>& branches) {
  std::vector<Sites> sites;
  std::int64_t last = 0;
  for (const auto& branch : branches) {
    ForwardOptions options;
    options.drop_depth = branch.depth;
    sites.push_back(sites_of(branch.network->setup, run_.base.config().layers, options));
    last = std::max(last, sites.back().boundary);
  }
  const std::int64_t size = layout_.sequences * run_.hidden();
  std::vector<const float*> ends(branches.size(), nullptr);
  std::vector<float*> results;
  for (std::size_t i = 0; i < branches.size(); ++i) results.push_back(run_.arena.take(size));
  // What leaves the trunk at `stage`; branches of one network that leave it together are one.
  const auto leave = [&](std::int64_t stage, const Arrival& arrival, const Flow& flow) {
    for (std::size_t i = 0; i < branches.size(); ++i) {
      if (sites[i].boundary != stage) continue;
      for (std::size_t j = 0; j < i && !ends[i]; ++j) {
        if (sites[j].boundary == stage && branches[j].network == branches[i].network) ends[i] = ends[j];
      }
      if (ends[i]) continue;
      // The site writes into the product, which the next branch needs as it is.
      Arrival own = arrival;
      own.product = run_.take(flow.rows, run_.hidden());
      std::copy(arrival.product, arrival.product + flow.rows.count * run_.hidden(), own.product);
      const float* end = run_from(stage, own, flow, sites[i]);
      std::copy(end, end + size, results[i]);
      ends[i] = results[i];
    }
  };
  const float* end = run_trunk(sites, last, leave);
  for (auto& each : ends) each = each ? each : end;
  return ends;
}

const float* Encoder::run_trunk(const std::vector<Sites>& branches, std::int64_t last, const Leave& leave) {
  const auto leaves = [&](std::int64_t stage) {
    return std::any_of(branches.begin(), branches.end(), [&](const Sites& sites) { return sites.boundary == stage; });
  };
  const auto kept = [&](const Sites& sites) { return split_ && split_->stores(sites.boundary); };
  if (std::all_of(branches.begin(), branches.end(), kept)) {
    // Downwards: what is missing at a boundary is computed through all below it, which are then there.
    for (std::int64_t stage = last; stage >= 0; --stage) {
      if (!leaves(stage)) continue;
      const auto start = run_.arena.mark();
      Flow flow;
      const Arrival arrival = kept_arrival(stage, flow);
      leave(stage, arrival, flow);
      run_.arena.rewind(start);
    }
    return nullptr;
  }
  const Sites none = sites_of(Setup::none(), run_.base.config().layers, {});
  float* turns[2] = {run_.take(all(), run_.hidden()), run_.take(all(), run_.hidden())};
  Flow flow = embed();
  for (std::int64_t stage = 0; stage <= std::min(last, stages() - 1); ++stage) {
    const auto start = run_.arena.mark();
    const Arrival arrival = sub_block(stage, flow, stages());
    if (stage < last)
      none.passes[static_cast<std::size_t>(stage)]->forward(run_, arrival, turns[stage % 2], false, false);
    leave(stage, arrival, flow);
    flow.x = turns[stage % 2];
    run_.arena.rewind(start);
  }
  return flow.x;
}

void Encoder::backward(const Sites& sites, float* d_out) {
  float* below = run_.take(all(), run_.hidden());
  const auto start = run_.arena.mark();
  for (std::int64_t stage = stages() - 1; stage >= sites.boundary; --stage) {
    const auto departure = sites.passes[static_cast<std::size_t>(stage)]->backward(run_, d_out);
    if (stage == sites.boundary) return;
    const float* d_x = sub_block_back(stage, departure);
    // Nothing else of the stage is read below: its memory serves the next one while it is in the cache.
    const Rows rows = stage + 1 == stages() ? firsts() : all();
    if (d_x != below) std::copy(d_x, d_x + rows.count * run_.hidden(), below);
    d_out = below;
    run_.arena.rewind(start);
  }
}

float* Encoder::sub_block_back(std::int64_t stage, const Departure& departure) {
  if (site_of(stage) == Site::attention) return attention_back(stage, departure);
  const auto& layer = run_.base.layer(stage / 2);
  const Rows rows = last_layer(stage) ? firsts() : all();
  const std::int64_t wide = run_.base.config().intermediate;
  float* d_inner = run_.take(rows, wide);
  run_.product(layer.output.weight, Way::backward, {.rows = rows.count, .a = departure.d_product, .c = d_inner});
  run_.multiply(d_inner, kept_[static_cast<std::size_t>(stage)].slope, rows.count * wide);
  run_.product(layer.intermediate.weight, Way::backward,
               {.rows = rows.count, .a = d_inner, .c = departure.d_x, .add = true});
  return departure.d_x;
}

float* Encoder::attention_back(std::int64_t stage, const Departure& departure) {
  const auto& layer = run_.base.layer(stage / 2);
  const std::int64_t hidden = run_.hidden();
  const auto& kept = kept_[static_cast<std::size_t>(stage)];
  const Rows rows = kept.first_only ? firsts() : all();
  float* d_context = run_.take(rows, hidden);
  run_.product(layer.attention_output.weight, Way::backward,
               {.rows = rows.count, .a = departure.d_product, .c = d_context});
  AttentionArgs args = kept.attention;
  args.d_out = d_context;
  if (kept.first_only) {
    args.d_q = run_.take(rows, hidden);
    args.d_k = run_.take(all(), 2 * hidden);
    args.d_q_stride = hidden;
    args.d_k_stride = 2 * hidden;
  } else {
    args.d_q = run_.take(rows, 3 * hidden);
    args.d_k = args.d_q + hidden;
    args.d_q_stride = args.d_k_stride = 3 * hidden;
  }
  args.d_v = args.d_k + hidden;
  run_.attend(args, layout_.longest, /*backward=*/true);
  if (!kept.first_only) {
    run_.product(layer.qkv, Way::backward, {.rows = rows.count, .a = args.d_q, .c = departure.d_x, .add = true});
    return departure.d_x;
  }
  run_.product(layer.q, Way::backward, {.rows = rows.count, .a = args.d_q, .c = departure.d_x, .add = true});
  float* d_x = run_.take(all(), hidden);
  run_.product(layer.kv, Way::backward, {.rows = layout_.tokens, .a = args.d_k, .c = d_x});
  scatter_add(d_x, departure.d_x);
  return d_x;
}

}  // namespace fathom::trainer::packed
