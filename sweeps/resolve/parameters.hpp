// `parameters`: which keys are sampled and at which values, and the points of their grid (rule 5).
// Thread: free functions without state.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "sweeps/resolve/conditions.hpp"

namespace fathom::sweeps {

// A range that is drawn from rather than listed. Ends included.
struct Range {
  double low = 0;
  double high = 0;
  bool log = false;
};

struct Parameter {
  std::string name;  // bare: "lr"
  std::string full;  // "train.lr"
  Section section = Section::train;
  const Key* key = nullptr;
  std::vector<nlohmann::json> values;  // in the order of the file; empty after an error, or with a range
  std::optional<Range> range;          // min and max without samples or step
  const Node* when = nullptr;
  Mark mark;

  // Values between `low` and what is above it are whole numbers: those of integers, and counts of a key that is a
  // share below 1.
  [[nodiscard]] bool whole_from(double low) const {
    return key->type == Type::integer || (key->whole_from_one && low >= 1);
  }
};

// "lr" or "train.lr" as a parameter without values; nothing for a name that cannot be sampled.
std::optional<Parameter> find_parameter(const std::string& name);
// Bare names of everything that can be sampled, for hints.
std::vector<std::string> parameter_names();

// Every job has it, so `when` cannot take it out.
bool is_always_there(const std::string& bare_name);

std::vector<Parameter> parse_parameters(const Node* node, Report& report);

// `points` spread evenly from low to high on the scale, ends exact, between them 6 significant digits (rule 20).
std::vector<double> samples_between(double low, double high, std::size_t points, bool log);
double round_digits(double value);

// `search`: how points are made.
struct Search {
  std::string sampler = "grid";  // grid | random | sobol | tpe
  std::uint32_t trials = 0;
  std::uint64_t seed = 0;
  std::uint32_t startup = 10;  // tpe
  bool flawed = false;         // it has mistakes, and the grid stands for what was meant
};
// A null node is the grid.
Search read_search(const Node* node, Report& report);

struct SampleOptions {
  Search search;
  const Node* zip = nullptr;
  Mark at;  // for mistakes that belong to all parameters together
};
// The points in order, as objects {"train.lr": 0.001}; equal points once. Grid: first name slowest, values in file
// order. Others: in the order of the draws. Always at least one: no parameters make one empty point.
nlohmann::json sample_points(std::vector<Parameter> parameters, const SampleOptions& options, Report& report);

// For `sampler: tpe`: what points are drawn from while the sweep runs (search/space.hpp). Null: there is nothing to
// draw.
nlohmann::json search_space(std::vector<Parameter> parameters, const SampleOptions& options, Report& report);

}  // namespace fathom::sweeps
