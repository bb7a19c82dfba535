// From a resolved sweep to its jobs. The same input gives the same plan for ever (sweep.hpp, kExpanderVersion).
// Thread: an Expander is used once, by one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include <nlohmann/json.hpp>

#include "sweeps/plan.hpp"

namespace fathom::sweeps {

inline constexpr std::size_t kNoStage = static_cast<std::size_t>(-1);

// What only shows when jobs are made: members that no job provides, depths beyond the model, too many jobs.
struct ExpandProblem {
  std::size_t stage = 0;  // kNoStage: of the whole sweep
  std::string message;
  std::string key;  // of the stage, "needs.where": what brought it about; empty: the stage as a whole
};

struct Expansion {
  Plan plan;
  std::vector<ExpandProblem> problems;  // not empty: the plan is incomplete
};

inline constexpr std::size_t kMaxJobs = 100'000;

// layers = L of the base, 0 where it is not known. Without `identities` jobs have no settings and no id: much faster,
// for checking. Throws nlohmann::json::exception when `resolved` is not what parse() made.
Expansion expand_resolved(const nlohmann::json& resolved, std::uint32_t layers, bool identities);

// A column of results.csv that is known from the plan alone; nothing where the job has none.
std::optional<nlohmann::json> column_of(const Job& job, const std::string& stage, const std::string& column);

// "drop depth 6 is more than the model allows: …"
std::string beyond_model(const std::string& what, std::uint64_t depth, std::uint32_t layers);

// "standard", "specialized-05", "robust-00-05", "robust-all" of a drop in settings form.
std::string drop_label(const nlohmann::json& drop);
// The n of a specialised label, 0 of every other.
std::uint32_t specialized_n(const std::string& label);

}  // namespace fathom::sweeps
