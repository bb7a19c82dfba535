#include "trainer/adapters/prune.hpp"

#include <algorithm>
#include <map>
#include <numeric>

#include <ATen/TensorOperators.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tensor.h>
#include <fmt/format.h>

namespace fathom::trainer {

void AttentionMeans::add(const std::vector<FusionAttention>& attention, const at::Tensor& attention_mask) {
  for (const FusionAttention& a : attention) {
    auto cell = std::find_if(cells_.begin(), cells_.end(), [&](const Cell& c) {
      return c.layer == a.layer && c.site == a.site && c.adapters == a.adapters;
    });
    if (cell == cells_.end()) {
      cells_.push_back({a.layer, a.site, a.adapters, std::vector<double>(a.adapters.size(), 0.0), 0});
      cell = std::prev(cells_.end());
    }
    at::Tensor weights = a.weights.detach().to(at::kDouble);
    if (attention_mask.defined()) weights = weights * attention_mask.to(at::kDouble).unsqueeze(-1);
    const at::Tensor sums = weights.sum(at::IntArrayRef{0, 1}).cpu();
    for (std::size_t i = 0; i < cell->sums.size(); ++i) {
      cell->sums[i] += sums.select(0, static_cast<std::int64_t>(i)).item<double>();
    }
    cell->tokens += attention_mask.defined() ? attention_mask.sum().item<double>()
                                             : static_cast<double>(a.weights.size(0) * a.weights.size(1));
  }
}

void AttentionMeans::sum_over(Gang& gang) {
  // The cells stand in the order in which a pass meets them: the same on every rank.
  std::vector<double> numbers;
  for (const Cell& cell : cells_) {
    numbers.insert(numbers.end(), cell.sums.begin(), cell.sums.end());
    numbers.push_back(cell.tokens);
  }
  const at::Tensor all = at::tensor(numbers, at::kDouble);
  gang.sum(all);
  const auto* next = all.const_data_ptr<double>();
  for (Cell& cell : cells_) {
    for (double& sum : cell.sums) sum = *next++;
    cell.tokens = *next++;
  }
}

std::vector<AttentionMeans::Row> AttentionMeans::rows() const {
  std::vector<Cell> cells = cells_;
  std::stable_sort(cells.begin(), cells.end(), [](const Cell& a, const Cell& b) {
    return std::pair(a.layer, a.site) < std::pair(b.layer, b.site);
  });
  std::vector<Row> rows;
  for (const Cell& cell : cells) {
    for (std::size_t i = 0; i < cell.sums.size(); ++i) {
      // One more than the number of adapters with a higher mean, or an equal one earlier in the fusion.
      std::int64_t rank = 1;
      for (std::size_t j = 0; j < cell.sums.size(); ++j) {
        rank += cell.sums[j] > cell.sums[i] || (cell.sums[j] == cell.sums[i] && j < i);
      }
      rows.push_back({cell.layer, cell.site, cell.adapters[i], cell.tokens > 0 ? cell.sums[i] / cell.tokens : 0, rank});
    }
  }
  return rows;
}

namespace {

struct Scores {
  std::vector<std::string> order;  // as first met: the order of the fusion
  std::map<std::string, double> sum;
  std::map<std::string, std::int64_t> rows;
  [[nodiscard]] double mean(const std::string& name) const { return sum.at(name) / static_cast<double>(rows.at(name)); }
};

void add(Scores& scores, const AttentionMeans::Row& row) {
  if (!scores.sum.contains(row.adapter)) scores.order.push_back(row.adapter);
  scores.sum[row.adapter] += row.mean_weight;
  ++scores.rows[row.adapter];
}

// In the order of the fusion.
std::vector<std::string> best(const Scores& scores, const Keep& keep) {
  std::vector<std::size_t> by_score(scores.order.size());
  std::iota(by_score.begin(), by_score.end(), 0u);
  std::stable_sort(by_score.begin(), by_score.end(), [&](std::size_t a, std::size_t b) {
    return scores.mean(scores.order[a]) > scores.mean(scores.order[b]);
  });
  auto count = std::max<std::int64_t>(keep.count, 0);
  if (keep.threshold > 0) {
    const auto reaches = [&](std::size_t i) { return scores.mean(scores.order[i]) >= keep.threshold; };
    count = std::max<std::int64_t>(1, std::count_if(by_score.begin(), by_score.end(), reaches));
  }
  by_score.resize(std::min(by_score.size(), static_cast<std::size_t>(count)));
  std::sort(by_score.begin(), by_score.end());
  std::vector<std::string> names;
  for (const std::size_t i : by_score) names.push_back(scores.order[i]);
  return names;
}

Error wrong(const std::string& what) { return Error{Errc::invalid_argument, "prune: " + what}; }

bool has_modules(const Adapter& adapter, std::int64_t layer) {
  return adapter.at(layer, Site::attention) || adapter.at(layer, Site::output);
}

// A view of the adapter without its modules in `layer`.
void leave_out(Adapter& adapter, std::int64_t layer) {
  adapter.modules[static_cast<std::size_t>(layer)] = {};
  if (adapter.config.leaves_out(layer)) return;
  auto& layers = adapter.config.leave_out;
  layers.insert(std::upper_bound(layers.begin(), layers.end(), layer), layer);
}

Result<std::vector<Adapter>> members_of(const Setup& setup) {
  if (setup.kind != SetupKind::fuse) return wrong("the setup is not a fuse");
  std::vector<Adapter> members;
  for (const Setup& child : setup.children) {
    if (child.kind != SetupKind::single) return wrong("the fuse holds more than single adapters");
    members.push_back(*child.adapter);
  }
  return members;
}

Setup fuse_of(const std::shared_ptr<const Fusion>& fusion, std::vector<Adapter> members) {
  std::vector<std::shared_ptr<const Adapter>> shared;
  for (Adapter& member : members) shared.push_back(std::make_shared<Adapter>(std::move(member)));
  return Setup::fuse(fusion, shared);
}

bool is_active(const std::vector<Adapter>& members, std::int64_t layer) {
  return std::any_of(members.begin(), members.end(), [&](const Adapter& m) { return has_modules(m, layer); });
}

// Index of the member with modules in most layers; the later one on a tie, so that little moves.
std::size_t anchor_of(const std::vector<Adapter>& members, std::int64_t layers) {
  std::size_t best_index = 0;
  std::int64_t best_count = -1;
  for (std::size_t i = 0; i < members.size(); ++i) {
    std::int64_t count = 0;
    for (std::int64_t layer = 0; layer < layers; ++layer) count += has_modules(members[i], layer);
    if (count >= best_count) best_index = i;
    best_count = std::max(best_count, count);
  }
  return best_index;
}

bool same_but_for_layers(const AdapterConfig& a, const AdapterConfig& b) {
  return a.non_linearity == b.non_linearity && a.ln_before == b.ln_before && a.ln_after == b.ln_after &&
         a.adapter_residual_before_ln == b.adapter_residual_before_ln && a.scaling_kind == b.scaling_kind &&
         a.scaling == b.scaling && a.use_gating == b.use_gating && a.dropout == b.dropout;
}

// The fusion over `members`. adapter_setup.json does not store a fusion's name: the library expects the children joined
// by commas, so a fusion that was named that way is named anew.
std::shared_ptr<const Fusion> renamed(const Fusion& fusion, const std::vector<Adapter>& members) {
  auto copy = std::make_shared<Fusion>(fusion);
  const bool joined = fusion.name == fmt::format("{}", fmt::join(fusion.adapters, ","));
  copy->adapters.clear();
  for (const Adapter& member : members) copy->adapters.push_back(member.name);
  if (joined) copy->name = fmt::format("{}", fmt::join(copy->adapters, ","));
  return copy;
}

// Puts the modules of `from` in `layer` into `anchor`, whose own were pruned there.
void move_layer(Adapter& anchor, Adapter& from, std::int64_t layer) {
  const double factor = from.config.reduction_factor.at(layer);
  anchor.modules[static_cast<std::size_t>(layer)] = from.modules[static_cast<std::size_t>(layer)];
  auto& layers = anchor.config.leave_out;
  layers.erase(std::remove(layers.begin(), layers.end(), layer), layers.end());
  if (anchor.config.reduction_factor.at(layer) != factor) anchor.config.reduction_factor.per_layer[layer] = factor;
  leave_out(from, layer);
}

}  // namespace

std::vector<std::vector<std::string>> kept_members(const std::vector<AttentionMeans::Row>& rows, std::int64_t layers,
                                                   const Keep& keep) {
  std::vector<Scores> scores(static_cast<std::size_t>(layers));
  Scores all;
  for (const AttentionMeans::Row& row : rows) {
    if (row.layer < layers) add(scores[static_cast<std::size_t>(row.layer)], row);
    add(all, row);
  }
  const std::vector<std::string> everywhere = best(all, keep);
  std::vector<std::vector<std::string>> kept;
  for (const Scores& layer : scores) {
    kept.push_back(layer.order.empty() ? std::vector<std::string>{} : keep.global ? everywhere : best(layer, keep));
  }
  return kept;
}

Result<Setup> prune_fusion(const Setup& setup, const std::vector<std::vector<std::string>>& kept) {
  FATHOM_ASSIGN(std::vector<Adapter> members, members_of(setup));
  for (std::size_t index = 0; index < kept.size(); ++index) {
    const auto layer = static_cast<std::int64_t>(index);
    const std::vector<std::string>& names = kept[index];
    for (const std::string& name : names) {
      if (std::none_of(members.begin(), members.end(), [&](const Adapter& m) { return m.name == name; })) {
        return wrong(fmt::format("layer {} keeps \"{}\", which is not a member of the fusion", layer, name));
      }
    }
    if (layer >= static_cast<std::int64_t>(members.front().modules.size()) || !is_active(members, layer)) continue;
    for (Adapter& member : members) {
      if (std::find(names.begin(), names.end(), member.name) == names.end()) leave_out(member, layer);
    }
    if (!is_active(members, layer)) return wrong(fmt::format("no member would be left in layer {}", layer));
  }
  return fuse_of(setup.fusion, std::move(members));
}

Result<ExportedFusion> exportable_fusion(const Setup& pruned) {
  FATHOM_ASSIGN(std::vector<Adapter> members, members_of(pruned));
  const auto layers = static_cast<std::int64_t>(members.front().modules.size());
  const auto chosen = static_cast<std::ptrdiff_t>(anchor_of(members, layers));
  std::rotate(members.begin() + chosen, members.begin() + chosen + 1, members.end());
  Adapter& anchor = members.back();
  ExportedFusion out;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    if (!is_active(members, layer) || has_modules(anchor, layer)) continue;
    const auto donor =
        std::find_if(members.rbegin() + 1, members.rend(), [&](const Adapter& m) { return has_modules(m, layer); });
    if (!same_but_for_layers(anchor.config, donor->config)) {
      return wrong(
          fmt::format("\"{}\" and \"{}\" are built differently, so the pruned fusion cannot be saved for "
                      "the adapters library",
                      anchor.name, donor->name));
    }
    move_layer(anchor, *donor, layer);
    out.moved.push_back({layer, donor->name, anchor.name});
  }
  // A member without modules has no files, and the library could not load a fusion that names it.
  std::erase_if(members, [&](const Adapter& m) {
    for (std::int64_t layer = 0; layer < layers; ++layer) {
      if (has_modules(m, layer)) return false;
    }
    return true;
  });
  const auto fusion = renamed(*pruned.fusion, members);
  out.setup = fuse_of(fusion, std::move(members));
  return out;
}

}  // namespace fathom::trainer
