// What `collect` writes where, decided from the jobs alone. Pure; thread: free functions over plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
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

// Where a file of the job's final tree goes below the result folder. Further epochs that were kept have trees of their
// own, epochs/FOLDER/epoch-N/, so that FOLDER is laid out as if there were none.
std::string collected_path(const CollectedJob& job, const std::string& path);
// Those epochs: folder and objective, the best first.
std::vector<std::pair<std::string, double>> kept_epochs(const CollectedJob& job);

// How to load a collected folder in Python and with `fathom predict`: README.md beside the weights.
// `folder`: the job's, or that of a further epoch.
std::string folder_readme(const CollectedJob& job, const std::string& folder);
// README.md at the top of the tree.
// `predictions`: the split, empty where there are none.
std::string top_readme(const std::string& sweep, const std::vector<CollectedJob>& jobs, const std::string& predictions);

}  // namespace fathom::cli
