// Members of a population (`method: pbt`) as jobs: the same job throughout, with the parameters that it goes on with
// since it was cloned. Thread: free functions without state.
#pragma once

#include <functional>
#include <optional>

#include "sweeps/plan.hpp"
#include "sweeps/search/population.hpp"

namespace fathom::sweeps {

// draw_clone() among jobs. `job_of`: a member as it is now.
std::optional<Clone> clone_among(const StopRule& rule, JobIndex member, std::uint32_t rung,
                                 const std::vector<JobIndex>& donors,
                                 const std::function<const Job&(JobIndex)>& job_of);

// Settings of a member with a clone's parameters in them (Clone::point).
nlohmann::json cloned_settings(nlohmann::json settings, const nlohmann::json& point);
// The job with its parameters and settings; `id` stays that of the member.
Job cloned_job(const Job& member, const nlohmann::json& point);

}  // namespace fathom::sweeps
