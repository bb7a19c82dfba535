// Result rows gathered over seeds: what summary.csv and the terminal table are made from. Pure; thread: free functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <nlohmann/json.hpp>

namespace fathom::cli {

// What the seeds of one measured thing have in common.
struct SummaryKey {
  std::string stage, task, drop, set, kept;
  std::string parameters;  // JSON of the row's param.* members
  std::string metric;
  int depth = 0;
  auto operator<=>(const SummaryKey&) const = default;
};

struct Summary {
  SummaryKey key;
  nlohmann::json row;  // the first of its rows: for n, lo, hi and param.*
  bool primary = false;
  std::map<std::int64_t, double> by_seed;
  [[nodiscard]] double mean() const;
  [[nodiscard]] std::optional<double> deviation() const;  // with ddof 1; absent for one seed
  [[nodiscard]] double lowest() const;
  [[nodiscard]] double highest() const;
  // mean / the standard drop's mean at depth 0 (same settings where they were measured, else the best); absent without.
  std::optional<double> retained;
};

// In the order of the rows. Rows without a finite value are left out. After each stage's rows come those of the task
// "average": the mean over tasks of the primary metric, for what was measured for two tasks at least and for all of
// them.
std::vector<Summary> summarize(const nlohmann::json& rows);

}  // namespace fathom::cli
