// What benchmark jobs measured, set against their baselines: the rows of timing.csv and the table on a terminal. Pure;
// thread: free functions over plain values.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace fathom::cli {

// A row for each job that has measured, each depth it measured at and each baseline of its stage that applies to it;
// one without baseline where none does. Keys: stage, job, param.* (measure, subject, …), depth, seconds (median of a
// step), p10, p90, forward, backward, optimizer, rows_per_s, baseline, relative = baseline / seconds, saved = 1 -
// seconds / baseline, and of parallel jobs saved_per_layer = saved / depth. Times are compared with those of the same
// device of the same worker only; without one relative and saved are absent. `rows` and `jobs` (with their details) as
// the REST interface gives them; `resolved`: the sweep, which says the baselines.
std::vector<nlohmann::json> benchmark_rows(const nlohmann::json& rows, const nlohmann::json& jobs,
                                           const nlohmann::json& resolved);

// A line for each job and depth, a column for each baseline; empty without rows.
std::string benchmark_table(const std::vector<nlohmann::json>& rows);

}  // namespace fathom::cli
