// Which jobs of another sweep compete in a need (docs/sweeps.md "Adapters from elsewhere"). Pure; thread: free
// functions without state.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sweeps/plan.hpp"

namespace fathom::sweeps {

// "sweep:glue/adapter".
std::string name_of(const Elsewhere& asked);

// The settings of the stage that meet what is asked, each with its seeds, in the order of the plan. `plan` is that of
// the sweep asked.sweep; `job_at` gives its jobs as they are (one whose parameters were drawn: with them). Empty: no
// such adapter, or no such stage; `why` then says which.
std::vector<Contender> contenders_in(const Plan& plan, const Elsewhere& asked,
                                     const std::function<const Job&(JobIndex)>& job_at, std::string& why);

}  // namespace fathom::sweeps
