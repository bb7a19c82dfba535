// The CSV files of a result folder. Pure; thread: free functions over plain values.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "cli/collected.hpp"

namespace fathom::cli {

// A cell by RFC 4180: quoted where it has to be; null is empty.
std::string csv_cell(const nlohmann::json& value);

// results.csv, summary.csv, jobs.csv, timing.csv and fusion_attention.csv by name. `rows`: result rows of the REST
// interface. `resolved`: the resolved sweep, whose benchmark stages say their baselines.
std::map<std::string, std::string> result_files(const nlohmann::json& sweep, const nlohmann::json& rows,
                                                const std::vector<CollectedJob>& jobs, const nlohmann::json& resolved);

}  // namespace fathom::cli
