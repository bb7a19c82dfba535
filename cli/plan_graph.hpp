// The dependency graph of a plan, for people and for Graphviz. Thread: free functions without state.
#pragma once

#include <string>

#include "sweeps/plan.hpp"

namespace fathom::cli {

// One paragraph for each stage: its jobs, and which stages each takes how many models from.
std::string graph_text(const sweeps::Plan& plan);
// Graphviz: a cluster for each stage with a node for each job, an edge from each job that a need looks at (dashed where
// it is chosen among several). Plans of more than kMostNodes jobs have one node for each stage.
inline constexpr std::size_t kMostNodes = 2000;
std::string graph_dot(const sweeps::Plan& plan);

}  // namespace fathom::cli
