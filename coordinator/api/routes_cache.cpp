// POST /api/v1/results/known: which jobs have a result that a sweep could take.
#include <nlohmann/json.hpp>

#include "coordinator/api/http/problem.hpp"
#include "coordinator/api/routes.hpp"
#include "coordinator/core/cache.hpp"

namespace fathom::api {
namespace {

using nlohmann::json;

Result<std::vector<std::string>> ids_of(const Request& request, std::uint32_t most) {
  const json body = json::parse(request.body, nullptr, false);
  const bool list = body.is_object() && body.size() == 1 && body.contains("ids") && body["ids"].is_array();
  if (!list || body["ids"].size() > most)
    return Error{Errc::invalid_argument,
                 "the body must be a JSON object with \"ids\", at most " + std::to_string(most) + " job ids"};
  std::vector<std::string> ids;
  for (const json& id : body["ids"]) {
    if (!id.is_string()) return Error{Errc::invalid_argument, "\"ids\" must be texts"};
    ids.push_back(id.get<std::string>());
  }
  return ids;
}

// By what is asked alone: model, data and inputs are compared when a sweep runs.
void known(Services& services, const Request& request, const Respond& respond) {
  auto ids = ids_of(request, services.max_jobs);
  if (!ids) return respond(problem(ids.error()));
  services.runtime.inspect([respond, ids = std::move(*ids)](const core::State& state) {
    json found = json::array();
    for (const std::string& id : ids) {
      const auto asked = sweeps::JobId::from(id);
      if (asked && state.results.contains(*asked)) found.push_back(id);
    }
    respond(json_answer({{"known", std::move(found)}}));
  });
}

}  // namespace

void add_cache_routes(std::vector<Route>& routes, Services& services) {
  Route route =
      route_of("POST", "/api/v1/results/known", Access::viewer, "Which of these jobs have a result that may be taken",
               [&services](const Request& request, const Respond& respond) { known(services, request, respond); });
  route.body = R"({"type": "object", "required": ["ids"], "additionalProperties": false, "properties": {
    "ids": {"type": "array", "items": {"type": "string"}}}})";
  routes.push_back(std::move(route));
}

}  // namespace fathom::api
