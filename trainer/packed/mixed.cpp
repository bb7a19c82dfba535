#include "trainer/packed/mixed.hpp"

#include <algorithm>
#include <numeric>

namespace fathom::trainer::packed {

MixedPass::MixedPass(const FrozenBase& base, Arena& arena, std::span<const MixedJob> jobs)
    : run_{base, arena, nullptr}, plan_(plan(run_, jobs)), blocks_(run_, plan_.layout, /*keep=*/true) {}

MixedPass::Plan MixedPass::plan(const Run& run, std::span<const MixedJob> jobs) {
  std::vector<Sites> sites;
  for (const auto& job : jobs) sites.push_back(sites_of(*job.setup, run.base.config().layers, job.options));
  std::vector<std::size_t> order(jobs.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return sites[a].boundary < sites[b].boundary; });
  Plan plan;
  plan.places.resize(jobs.size());
  std::vector<const Layout*> layouts;
  for (const auto job : order) {
    plan.places[job] = layouts.size();
    layouts.push_back(jobs[job].layout);
    plan.sites.push_back(std::move(sites[job]));
  }
  plan.layout = together(layouts);
  const auto stretches = stretches_of(plan.layout);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto& options = jobs[order[i]].options;
    plan.parts.push_back(
        {{run.base, run.arena, options.dropout}, options.recipe, plan.sites[i].boundary, stretches[i]});
  }
  return plan;
}

Parts MixedPass::learning(std::int64_t stage, bool own) const {
  const auto end = std::find_if(plan_.parts.begin(), plan_.parts.end(),
                                [&](const Part& part) { return own ? part.boundary > stage : part.boundary >= stage; });
  return {plan_.parts.begin(), end};
}

void MixedPass::run_sites(std::int64_t stage, float* product, const Flow& flow, float* y) {
  // The last ones first: they keep nothing, so that their memory serves the others.
  for (auto i = plan_.parts.size(); i-- > 0;) {
    const auto& part = plan_.parts[i];
    const bool keep = stage >= part.boundary;
    const auto mark = run_.arena.mark();
    plan_.sites[i].passes[static_cast<std::size_t>(stage)]->forward(
        part.run, blocks_.arrival(stage, product, flow, part), y + Blocks::start(part, flow.first_only) * run_.hidden(),
        keep, part.above(stage));
    if (!keep) run_.arena.rewind(mark);
  }
}

std::vector<const float*> MixedPass::forward() {
  const Parts all = plan_.parts;
  float* turns[2] = {run_.take(blocks_.tokens(all), run_.hidden()), run_.take(blocks_.tokens(all), run_.hidden())};
  Flow flow = blocks_.embed(all);
  for (std::int64_t stage = 0; stage < stages(); ++stage) {
    const bool keep = stage >= all.front().boundary;
    const auto start = run_.arena.mark();
    float* product = blocks_.forward(stage, flow, all);
    float* y = keep ? run_.take(flow.rows, run_.hidden()) : turns[stage % 2];
    run_sites(stage, product, flow, y);
    flow.x = y;
    if (!keep) run_.arena.rewind(start);
  }
  std::vector<const float*> ends;
  for (const auto place : plan_.places) ends.push_back(flow.x + plan_.parts[place].rows.first_sequence * run_.hidden());
  return ends;
}

void MixedPass::sites_back(std::int64_t stage, float* gradient, float* d_product) {
  const auto hidden = run_.hidden();
  const bool first_only = blocks_.last_layer(stage);
  const auto learners = learning(stage, /*own=*/true);
  for (std::size_t i = 0; i < learners.size(); ++i) {
    const auto& part = learners[i];
    const auto at = Blocks::start(part, first_only) * hidden;
    const auto departure = plan_.sites[i].passes[static_cast<std::size_t>(stage)]->backward(part.run, gradient + at);
    if (!part.above(stage)) continue;
    const auto end = first_only ? part.rows.last_sequence * hidden : part.rows.last_token * hidden;
    // The products of all parts in one place, and what goes around them in another.
    std::copy_n(departure.d_product, end - at, d_product + at);
    if (departure.d_x != gradient + at) std::copy_n(departure.d_x, end - at, gradient + at);
  }
}

void MixedPass::backward(const std::vector<const float*>& d_outs) {
  const Parts all = plan_.parts;
  const auto hidden = run_.hidden();
  float* gradient = run_.take(blocks_.tokens(all), hidden);
  float* d_product = run_.take(blocks_.tokens(all), hidden);
  for (std::size_t job = 0; job < d_outs.size(); ++job) {
    const auto& rows = all[plan_.places[job]].rows;
    std::copy_n(d_outs[job], (rows.last_sequence - rows.first_sequence) * hidden,
                gradient + rows.first_sequence * hidden);
  }
  const auto start = run_.arena.mark();
  for (std::int64_t stage = stages() - 1; stage >= all.front().boundary; --stage) {
    sites_back(stage, gradient, d_product);
    const auto below = learning(stage, /*own=*/false);
    if (below.empty()) return;
    const float* d_x = blocks_.backward(stage, {d_product, gradient}, below);
    const Rows rows = stage + 1 == stages() ? blocks_.firsts(below) : blocks_.tokens(below);
    if (d_x != gradient) std::copy_n(d_x, rows.count * hidden, gradient);
    run_.arena.rewind(start);
  }
}

}  // namespace fathom::trainer::packed
