// More epochs for jobs that were trained (docs/decisions/0032). Pure; thread: free functions without state.
#pragma once

#include <cstdint>
#include <string>

#include "sweeps/plan.hpp"

namespace fathom::sweeps {

// Why the job cannot go on from one of fewer epochs: training so long from the start would have been another training
// from the first step on, or was judged on the way. For people; empty: it can, or it trains nothing, or it takes models
// of its sweep, which are other ones when these train longer.
std::string obstacle_to_more_epochs(const Plan& plan, const Job& job);

// The id of the job that was asked for the same, to be trained `epochs` epochs. For jobs that train.
JobId id_with_epochs(const Job& job, std::uint32_t epochs);

}  // namespace fathom::sweeps
