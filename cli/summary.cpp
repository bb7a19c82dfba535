#include "cli/summary.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace fathom::cli {

using nlohmann::json;

namespace {

std::string cell(const json& row, const char* name) {
  const auto found = row.find(name);
  if (found == row.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

json parameters_of(const json& row) {
  json out = json::object();
  for (const auto& [name, value] : row.items()) {
    if (name.starts_with("param.")) out[name] = value;
  }
  return out;
}

// Scores on other rows than the eval split's are metrics of their own: "eval_mismatched/accuracy".
std::string metric_of(const json& row) {
  const std::string split = cell(row, "split");
  return (split.empty() || split == "eval" ? "" : split + "/") + cell(row, "metric");
}

SummaryKey key_of(const json& row) {
  return {cell(row, "stage"), cell(row, "task"),
          cell(row, "drop"),  cell(row, "set"),
          cell(row, "kept"),  parameters_of(row).dump(),
          metric_of(row),     static_cast<int>(row.value("depth", json(0)).get<double>())};
}

std::vector<Summary> gather(const json& rows) {
  std::vector<Summary> out;
  std::map<SummaryKey, std::size_t> places;
  for (const json& row : rows) {
    const json value = row.value("value", json());
    if (!value.is_number() || !std::isfinite(value.get<double>())) continue;
    const auto [place, fresh] = places.try_emplace(key_of(row), out.size());
    if (fresh) {
      out.push_back({place->first, row, row.value("primary", json(false)) == json(true), {}, std::nullopt});
    }
    out[place->second].by_seed[row.value("seed", json(0)).get<std::int64_t>()] = value.get<double>();
  }
  return out;
}

// The mean over tasks for each seed that all of them have.
Summary average_of(const std::vector<const Summary*>& members) {
  Summary out = *members.front();
  out.key.task = "average";
  out.key.metric = "primary";
  out.by_seed.clear();
  for (const auto& [seed, ignored] : members.front()->by_seed) {
    double sum = 0;
    std::size_t found = 0;
    for (const Summary* member : members) {
      const auto value = member->by_seed.find(seed);
      if (value == member->by_seed.end()) continue;
      sum += value->second;
      ++found;
    }
    if (found == members.size()) out.by_seed[seed] = sum / static_cast<double>(found);
  }
  return out;
}

// The averages of one stage, in the order of their first members.
std::vector<Summary> averages(const std::vector<Summary>& all, const std::string& stage) {
  std::set<std::string> tasks;
  std::vector<SummaryKey> order;
  std::map<SummaryKey, std::vector<const Summary*>> groups;
  for (const Summary& summary : all) {
    if (summary.key.stage != stage || !summary.primary) continue;
    tasks.insert(summary.key.task);
    SummaryKey shared = summary.key;
    shared.task = shared.metric = "";
    auto& group = groups[shared];
    if (group.empty()) order.push_back(shared);
    group.push_back(&summary);
  }
  std::vector<Summary> out;
  for (const SummaryKey& key : order) {
    const auto& group = groups[key];
    if (group.size() < 2 || group.size() != tasks.size()) continue;
    Summary average = average_of(group);
    if (!average.by_seed.empty()) out.push_back(std::move(average));
  }
  return out;
}

void add_retained(std::vector<Summary>& all) {
  // Standard at depth 0 with the same settings, and the best of any settings.
  std::map<SummaryKey, double> same;
  std::map<SummaryKey, double> best;
  const auto without_settings = [](SummaryKey key) {
    key.parameters.clear();
    return key;
  };
  for (const Summary& summary : all) {
    if (summary.key.drop != "standard" || summary.key.depth != 0) continue;
    same[summary.key] = summary.mean();
    const auto [found, fresh] = best.try_emplace(without_settings(summary.key), summary.mean());
    if (!fresh) found->second = std::max(found->second, summary.mean());
  }
  for (Summary& summary : all) {
    SummaryKey base = summary.key;
    base.drop = "standard";
    base.depth = 0;
    const auto exact = same.find(base);
    const auto any = best.find(without_settings(base));
    const std::optional<double> reference = exact != same.end() ? std::optional(exact->second)
                                            : any != best.end() ? std::optional(any->second)
                                                                : std::nullopt;
    if (reference && *reference != 0) summary.retained = summary.mean() / *reference;
  }
}

}  // namespace

double Summary::mean() const {
  double sum = 0;
  for (const auto& [seed, value] : by_seed) sum += value;
  return by_seed.empty() ? 0 : sum / static_cast<double>(by_seed.size());
}

std::optional<double> Summary::deviation() const {
  if (by_seed.size() < 2) return std::nullopt;
  const double center = mean();
  double sum = 0;
  for (const auto& [seed, value] : by_seed) sum += (value - center) * (value - center);
  return std::sqrt(sum / static_cast<double>(by_seed.size() - 1));
}

double Summary::lowest() const {
  return std::min_element(by_seed.begin(), by_seed.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->second;
}

double Summary::highest() const {
  return std::max_element(by_seed.begin(), by_seed.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->second;
}

std::vector<Summary> summarize(const json& rows) {
  const std::vector<Summary> measured = gather(rows);
  std::vector<Summary> out;
  for (std::size_t i = 0; i < measured.size(); ++i) {
    out.push_back(measured[i]);
    const std::string& stage = measured[i].key.stage;
    const bool stage_ends = i + 1 == measured.size() || measured[i + 1].key.stage != stage;
    if (!stage_ends) continue;
    for (Summary& average : averages(measured, stage)) out.push_back(std::move(average));
  }
  add_retained(out);
  return out;
}

}  // namespace fathom::cli
