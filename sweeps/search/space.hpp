// What a search draws its points from: parameters with their ranges or lists, when they are there, and what is left
// out. Thread: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "sweeps/search/random.hpp"

namespace fathom::sweeps {

// One coordinate: a range, or a list of which one entry is taken. Zipped parameters are one list.
struct Dimension {
  std::vector<std::string> names;                 // full: "train.lr"
  std::vector<std::vector<nlohmann::json>> rows;  // of a list: a value for each name; empty: a range
  double low = 0, high = 0;                       // of a range, both included
  bool log = false, whole = false;

  [[nodiscard]] bool listed() const { return !rows.empty(); }
  // Evenly at `share` of [0, 1): the number of an entry, or a value of the range (rule 20: 6 significant digits; of
  // whole numbers each has an equal share of the scale, the ends too).
  [[nodiscard]] double at(double share) const;
};

class Space {
 public:
  // The checked form, as parse() writes it into a stage (resolve/grid.cpp). Throws nlohmann::json::exception when it
  // is not that.
  explicit Space(const nlohmann::json& resolved);

  // The sampled parameters at one place of each dimension, without those that `when` takes out.
  [[nodiscard]] nlohmann::json point(const std::vector<double>& places) const;
  // …and back: NaN for a dimension of which the point has no parameter.
  [[nodiscard]] std::vector<double> places(const nlohmann::json& point) const;
  [[nodiscard]] std::vector<double> uniform(SplitMix& random) const;

  std::vector<Dimension> dimensions;
  std::uint64_t seed = 0;
  std::uint32_t startup = 0;  // settings that have to have ended before draws are modelled on them

 private:
  nlohmann::json when_;  // [[full name, conditions], …], each after those it looks at
};

}  // namespace fathom::sweeps
