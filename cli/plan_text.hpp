// A plan as `fathom plan` shows it. Thread: free functions.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "sweeps/plan.hpp"

namespace fathom::cli {

// Stages with their jobs, then the notes.
std::string plan_text(const sweeps::Plan& plan);
// The same with every job (docs/cli.md).
nlohmann::ordered_json plan_json(const sweeps::Plan& plan);

}  // namespace fathom::cli
