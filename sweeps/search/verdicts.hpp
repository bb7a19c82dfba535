// The rules of the stopping methods over plain numbers, each as published. Values are finite; `goal` says which way is
// better. Thread: free functions without state.
#pragma once

#include <cstdint>
#include <vector>

#include "sweeps/plan.hpp"

namespace fathom::sweeps {

inline bool better(Goal goal, double a, double b) { return goal == Goal::maximize ? a > b : a < b; }

// Successive halving (Li et al., MLSys 2020, section 3): of a rung's entries, the new one included, max(1, floor(n /
// eta)) go on. `others` are the values that the rung has, sorted ascending. With ties_continue a value equal to the
// last kept one goes on too, else the earlier arrivals keep their places.
bool among_best(const std::vector<double>& others, double value, Goal goal, std::uint32_t eta, bool ties_continue);

// How many of these, sorted ascending, are better.
std::size_t count_better(const std::vector<double>& sorted, double value, Goal goal);

// The middle value, of an even count the mean of both. Not of nothing.
double median(std::vector<double> values);
// Linear interpolation between order statistics, `percent` of 0..100 from the bottom (numpy's default). Not of nothing.
double percentile(std::vector<double> values, double percent);

// Epochs since the best value was last bettered by more than min_delta; values in their order.
std::uint32_t without_progress(const std::vector<double>& values, Goal goal, double min_delta);

}  // namespace fathom::sweeps
