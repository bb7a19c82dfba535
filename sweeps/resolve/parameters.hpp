// `parameters`: which keys are sampled and at which values, and the points of their grid (rule 5).
// Thread: free functions without state.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "sweeps/resolve/conditions.hpp"

namespace fathom::sweeps {

struct Parameter {
  std::string name;  // bare: "lr"
  std::string full;  // "train.lr"
  Section section = Section::train;
  const Key* key = nullptr;
  std::vector<nlohmann::json> values;  // in the order of the file; empty after an error
  const Node* when = nullptr;
  Mark mark;
};

// "lr" or "train.lr" as a parameter without values; nothing for a name that cannot be sampled.
std::optional<Parameter> find_parameter(const std::string& name);
// Bare names of everything that can be sampled, for hints.
std::vector<std::string> parameter_names();

std::vector<Parameter> parse_parameters(const Node* node, Report& report);

// `points` spread evenly from low to high on the scale, ends exact, between them 6 significant digits (rule 20).
std::vector<double> samples_between(double low, double high, std::size_t points, bool log);
double round_digits(double value);

struct GridOptions {
  const Node* zip = nullptr;
  Mark at;  // for mistakes that belong to the whole grid
};
// The points in order (first name slowest, values in file order), as objects {"train.lr": 0.001}; equal points once.
// Always at least one: no parameters make one empty point.
std::vector<nlohmann::json> grid_points(std::vector<Parameter> parameters, const GridOptions& options, Report& report);

}  // namespace fathom::sweeps
