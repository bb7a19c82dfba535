// curves.csv of a result folder: the metric points of jobs. Thread: a free function without state.
#pragma once

#include <functional>
#include <ostream>
#include <string>

#include <nlohmann/json.hpp>

#include "common/result.hpp"

namespace fathom::cli {

// The answer of GET …/jobs/JOB/metrics?QUERY of one job.
using AskMetrics = std::function<Result<nlohmann::json>(const std::string& query)>;

inline constexpr const char* kCurvesHeader = "job,name,depth,step,value\n";

// A row for each point of the job, by name, depth and step; a value that is not finite is empty. Curves are asked for
// name by name, so that no answer holds more than one metric of a job. resource_exhausted: a curve has more points than
// the coordinator gives out whole.
Status write_curves(std::ostream& out, const std::string& job, const AskMetrics& ask);

}  // namespace fathom::cli
