// The OpenAPI 3.1 document, made from the table of routes. Thread: a free function without state.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "coordinator/api/router.hpp"

namespace fathom::api {

// Every route with its parameters, success status and the problem answer; `version` is the program's.
nlohmann::json openapi_document(const std::vector<Route>& routes, const std::string& version);

}  // namespace fathom::api
