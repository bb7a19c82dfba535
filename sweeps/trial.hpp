// Jobs whose parameters are drawn while the sweep runs (`sampler: tpe`). In the plan such a job is open: its settings
// have "search" (the space that all trials of the group share) and "trial" in the place of the sampled keys, and its id
// hashes that. Once its point is drawn it has the settings that a job of a listed point would have.
// Thread: free functions without state.
#pragma once

#include <string>
#include <vector>

#include "sweeps/plan.hpp"
#include "sweeps/search/tpe.hpp"

namespace fathom::sweeps {

// Settings of an open job with a point in them.
nlohmann::json drawn_settings(nlohmann::json settings, const nlohmann::json& point);
// The job with its parameters, settings and epochs; `id` stays that of the trial.
Job drawn_job(const Job& open, const nlohmann::json& point);

// The point of the trial that `open` is a job of, from what the settings of its group came to.
nlohmann::json draw_point(const Plan& plan, const Job& open, const std::vector<Observation>& seen, bool& modelled);

}  // namespace fathom::sweeps
