// What `collect` writes where, decided from the jobs alone. Pure; thread: free functions over plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace fathom::cli {

// One job as the REST interface describes it in full (settings, result, files).
struct CollectedJob {
  nlohmann::json detail;
  std::string folder;  // below the result folder; empty: no weights of this job are collected
};

// Fills in the folders of SWEEPS' result tree: adapters/TASK/DROP/[SETTING/]seedN, fusions/TARGET/SET/DROP/[keep-K/]
// [SETTING/]seedN, models/TASK/[SETTING/]seedN. Only jobs that Succeeded and left files have one. SETTING ("lr=0.001")
// is there where several settings of one place are collected. `best`: only the setting with the best mean objective
// over seeds of each place (ties: file order), so that no SETTING is needed. `maximize`: the sweep's goal.
void place_jobs(std::vector<CollectedJob>& jobs, bool best, bool maximize);

// "lr=0.001,reduction=8" of a job's sampled parameters, with nothing in it that a path cannot hold; empty: none.
std::string setting_label(const nlohmann::json& parameters);

// How to load a collected folder in Python and with `fathom predict`: README.md beside the weights.
std::string folder_readme(const nlohmann::json& detail, const std::string& folder);
// README.md at the top of the tree.
std::string top_readme(const std::string& sweep, const std::vector<CollectedJob>& jobs);

}  // namespace fathom::cli
