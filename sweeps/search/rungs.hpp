// Where settings are judged and how they are spread over brackets. Whole numbers only: floor(log(R) / log(eta)) loses a
// rung in binary64 for (243, 3) and two for (1000, 10). Thread: free functions without state.
#pragma once

#include <cstdint>
#include <vector>

#include "sweeps/plan.hpp"

namespace fathom::sweeps {

// min·eta^k while < max, then max. eta >= 2.
std::vector<std::uint32_t> geometric_rungs(std::uint32_t min, std::uint32_t max, std::uint32_t eta);

// `count` rungs down from max: max / eta^k rounded down, each at least 1 and above the one before.
std::vector<std::uint32_t> rungs_down(std::uint32_t count, std::uint32_t max, std::uint32_t eta);

// Methods whose settings compete at rungs that are a factor of eta apart: asha, hyperband, halving.
bool has_eta(const StopRule& rule);
// Their rungs, of the first bracket, which has them all. Empty where the last one is not known: tasks differ in epochs,
// or it is as many steps as a training has.
std::vector<std::uint32_t> rungs_of(const StopRule& rule);

// Settings of each bracket: bracket i has rungs[i] rungs and a share in proportion to eta^(rungs - 1) / rungs, rounded
// down, at least one; the first bracket takes what is left (Determined's adaptive search).
std::vector<std::uint32_t> split_settings(std::uint32_t settings, std::uint32_t eta,
                                          const std::vector<std::uint32_t>& rungs);

// The bracket of each setting in file order: brackets fill evenly in proportion to their counts, ties to the earlier
// one, so that a sweep that is cut short has settings of all brackets.
std::vector<std::uint32_t> spread(const std::vector<std::uint32_t>& counts);

// Hyperband as published (Li et al., JMLR 2018, algorithm 1): bracket s = s_max … 0 starts with
// ceil((s_max + 1)·eta^s / (s + 1)) settings at max / eta^s, and n / eta of them go on, rounded down as published, or
// up as Ray and Katib do.
struct Bracket {
  std::uint32_t first = 0;              // epochs of its first rung
  std::vector<std::uint32_t> settings;  // that start, then those that are left at each later rung
};
std::vector<Bracket> hyperband_brackets(std::uint32_t min, std::uint32_t max, std::uint32_t eta, bool round_up = false);

// Of n entries at a rung so many go on: n / eta, rounded as asked.
std::uint32_t kept_of(std::uint32_t entries, std::uint32_t eta, bool round_up);

}  // namespace fathom::sweeps
