// The sampler `tpe` of one comparison group: what its settings came to in, the next setting out. A pure function: no
// clock, no state; randomness comes from the space's seed and the number of the trial alone, so that a draw can be made
// again from what was known when it was made (`fathom replay`).
//
// Tree-structured Parzen estimators as in Optuna's TPESampler(multivariate=True, group=True, constant_liar=True):
// settings that have ended are put in order, the best ceil(n / 10), at most 25, are the good ones, the others and those
// that still run the rest; of 24 candidates from the estimate of the good ones (parzen.hpp) the one with the highest
// ratio of densities good / rest is taken. Dimensions that were always there together are estimated jointly; a
// component stands only for a setting that has them. Order of what ended: at full budget, by value; stopped early,
// those that came further first, then by value, as Optuna has pruned ones; without a value (diverged) last, and never
// good. Until `startup` settings have ended draws are even.
// Differences from Optuna: a setting is never drawn twice while there are others. Thread: free functions.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sweeps/plan.hpp"
#include "sweeps/search/space.hpp"

namespace fathom::sweeps {

enum class Reached { whole, part, nothing, open };

// A setting that was drawn before, in the order of their trials.
struct Observation {
  nlohmann::json point;
  Reached reached = Reached::open;
  double value = 0;         // the mean over its seeds; finite. Of whole and part
  std::uint32_t epoch = 0;  // of part: that all seeds came to
};

struct Drawn {
  nlohmann::json point;
  bool modelled = false;  // false: evenly from the space
};

// Whether the group may have the point (`exclude`).
using Allowed = std::function<bool(const nlohmann::json& point)>;

// Where no allowed point is found (thousands of even draws), the point is null.
Drawn draw_tpe(const Space& space, Goal goal, std::uint32_t trial, const std::vector<Observation>& seen,
               const Allowed& allowed);

// The halves that densities are estimated from, each in the order of trials.
struct Halves {
  std::vector<const Observation*> good, rest;
};
Halves split_tpe(Goal goal, const std::vector<Observation>& seen);
// Dimensions that were there in the same observations, by the first of them.
std::vector<std::vector<std::size_t>> joint_dimensions(const std::vector<std::vector<double>>& places,
                                                       std::size_t dimensions);

}  // namespace fathom::sweeps
