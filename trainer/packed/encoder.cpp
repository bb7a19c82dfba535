#include "trainer/packed/encoder.hpp"

#include <algorithm>

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
    : run_(run), layout_(layout), recipe_(recipe), keep_(keep), blocks_(run, layout, keep) {}

Part Encoder::whole(std::int64_t boundary) const {
  return {run_, recipe_, boundary, {0, layout_.sequences, 0, layout_.tokens}};
}

Arrival Encoder::sub_block(std::int64_t stage, Flow& flow, std::int64_t boundary) {
  const Part part = whole(boundary);
  float* product = blocks_.forward(stage, flow, {&part, 1});
  return blocks_.arrival(stage, product, flow, part);
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
  flow.first_only = blocks_.last_layer(stage);
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
  return blocks_.arrival(stage, product, flow, whole(stages()));
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
    const Part part = whole(stages());
    flow = blocks_.embed({&part, 1});
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
  const Part part = whole(sites.boundary);
  flow = blocks_.embed({&part, 1});
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
  const Part part = whole(stages());
  Flow flow = blocks_.embed({&part, 1});
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
  const Part part = whole(sites.boundary);
  float* below = run_.take(all(), run_.hidden());
  const auto start = run_.arena.mark();
  for (std::int64_t stage = stages() - 1; stage >= sites.boundary; --stage) {
    const auto departure = sites.passes[static_cast<std::size_t>(stage)]->backward(run_, d_out);
    if (stage == sites.boundary) return;
    const float* d_x = blocks_.backward(stage, departure, {&part, 1});
    // Nothing else of the stage is read below: its memory serves the next one while it is in the cache.
    const Rows rows = stage + 1 == stages() ? firsts() : all();
    if (d_x != below) std::copy(d_x, d_x + rows.count * run_.hidden(), below);
    d_out = below;
    run_.arena.rewind(start);
  }
}

}  // namespace fathom::trainer::packed
