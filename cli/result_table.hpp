// The result table on a terminal: a row for each task and drop (and, for fusions, set and adapters kept), a column for
// each depth with mean±std over seeds of the best setting's primary metric. Thread: free functions.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "cli/client.hpp"
#include "common/result.hpp"

namespace fathom::cli {

// Rows and jobs as the REST interface gives them. Empty where nothing has been measured.
std::string result_table(const nlohmann::json& rows, const nlohmann::json& jobs);
// The same, asked of the coordinator, and below it what benchmarks measured (benchmarks.hpp).
Result<std::string> result_table(Client& client, const std::string& sweep);

}  // namespace fathom::cli
