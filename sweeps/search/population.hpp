// Population based training (Jaderberg et al., 2017), asynchronous as Ray's: a member is compared when it comes to the
// end of an interval, with what each other member came to last. One among the worst `quantile` goes on as a clone of
// one among the best, with parameters next to those of its donor. Who is compared and who falls behind is in Stopper;
// this is what a clone gets. Pure: no clock, random numbers from the rule's seed, the member and the rung alone.
// Thread: free functions without state.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "sweeps/plan.hpp"

namespace fathom::sweeps {

struct Clone {
  JobIndex donor = 0;
  nlohmann::json point;                // its explored parameters: {"train.lr": 0.0003}; null: absent
  std::vector<std::string> resampled;  // drawn anew, the others perturbed
};

// The clone that `member` becomes at its rung: of one of `donors`, each with an equal chance. Each parameter is drawn
// anew with the chance `resample`; else a number of a range is multiplied by one of `factors` and stays in the range,
// and a listed one takes the value before or after. A point that `allowed` refuses is the donor's own. nullopt: there
// are no donors. `point_of`: explored parameters of a donor, as they are now.
std::optional<Clone> draw_clone(const StopRule& rule, JobIndex member, std::uint32_t rung,
                                const std::vector<JobIndex>& donors,
                                const std::function<nlohmann::json(JobIndex)>& point_of,
                                const std::function<bool(const nlohmann::json&)>& allowed);

// Full names of the parameters that members differ in.
std::vector<std::string> explored(const StopRule& rule);

}  // namespace fathom::sweeps
