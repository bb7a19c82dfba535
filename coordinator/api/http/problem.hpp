// Errors and values as HTTP answers: application/problem+json (RFC 9457) with type, title, status and detail.
// Thread: free functions without state.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "common/result.hpp"
#include "coordinator/api/http/message.hpp"

namespace fathom::api {

// The status for an error's code: 400, 401, 403, 404, 409, 422, 503, 507 or 500.
int status_of(Errc code);

Answer problem(int status, const std::string& detail);
Answer problem(const Error& error);
Answer json_answer(const nlohmann::json& value, int status = 200);
Answer text_answer(std::string text, const std::string& type = "text/plain; charset=utf-8");
// The value as JSON, or the problem.
Answer json_or_problem(const Result<nlohmann::json>& value, int status = 200);

}  // namespace fathom::api
