// Fusions whose set is chosen by results (`sets: {greedy: k}`): forward selection. The set begins with the target's own
// adapter; each step takes the adapter with which a fusion that was trained on a budget came to the best objective. The
// jobs of a plan have the choices as needs; here they are made, and the job becomes one of a listed set.
// Which, and why so: docs/decisions/0028. Thread: free functions without state.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "sweeps/plan.hpp"
#include "sweeps/select.hpp"

namespace fathom::sweeps {

struct ChosenSet {
  std::vector<std::string> members;  // in the order of the file, as a listed set would have them
  std::vector<std::string> chosen;   // in the order in which they were taken; the first is the target's own
  std::vector<double> means;         // of the fusions that won, one for each choice
};

// For a job with Job::greedy. `result` is asked for every job of the choices; Missing says so of the first choice that
// nothing qualifies for.
std::variant<Waiting, ChosenSet, Missing> choose_set(const Job& open, const std::function<JobResult(JobIndex)>& result);

// The job with its set: needs, settings and label are those of a job whose set was listed; `id` stays.
Job with_set(const Job& open, const std::vector<std::string>& members);
// …of its settings alone. Throws nlohmann::json::exception where they are not those of such a job.
nlohmann::json settings_with_set(nlohmann::json settings, const std::vector<std::string>& members);

// "choice 2": the need that says which adapter is the second of the set.
std::string choice_name(std::uint32_t place);
// Adapters in the fusion's set, known or not.
std::size_t members_of(const Job& fusion);

}  // namespace fathom::sweeps
