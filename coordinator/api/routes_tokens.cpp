// Tokens of other people and programs: made, listed and revoked by an admin.
#include <nlohmann/json.hpp>

#include "coordinator/api/http/problem.hpp"
#include "coordinator/api/routes.hpp"
#include "coordinator/api/tokens.hpp"

namespace fathom::api {
namespace {

using nlohmann::json;

constexpr std::int64_t kDay = 24LL * 3600 * 1000;
constexpr std::int64_t kMostDays = 3650;

json shown(const TokenInfo& token) {
  return {{"name", token.name},
          {"role", name_of(token.role)},
          {"created", token.created_ms},
          {"expires", token.expires_ms == 0 ? json() : json(token.expires_ms)}};
}

Result<json> create(Services& services, const Request& request) {
  const json body = json::parse(request.body, nullptr, false);
  if (!body.is_object()) return Error{Errc::invalid_argument, "the body must be a JSON object"};
  for (const auto& [key, value] : body.items()) {
    if (key != "name" && key != "role" && key != "days") {
      return Error{Errc::invalid_argument, "unknown key \"" + key + "\"; known: name, role, days"};
    }
  }
  const json name = body.value("name", json()), role = body.value("role", json()), days = body.value("days", json(0));
  const auto known = role.is_string() ? role_of(role.get<std::string>()) : std::nullopt;
  if (!name.is_string()) return Error{Errc::invalid_argument, "\"name\" must be a text: who the token is for"};
  if (!known) return Error{Errc::invalid_argument, "\"role\" must be viewer, submitter or admin"};
  if (!days.is_number_integer() || days < 0 || days > kMostDays) {
    return Error{Errc::invalid_argument, "\"days\" must be a whole number from 0 (for ever) to 3650"};
  }
  FATHOM_ASSIGN(const std::string secret,
                services.tokens.create(name.get<std::string>(), *known, Millis{days.get<std::int64_t>() * kDay}));
  for (const TokenInfo& token : services.tokens.list()) {
    if (token.name != name.get<std::string>()) continue;
    json made = shown(token);
    made["token"] = secret;  // the only time
    return made;
  }
  return Error{Errc::not_found, "the token was revoked meanwhile"};
}

}  // namespace

void add_token_routes(std::vector<Route>& routes, Services& services) {
  routes.push_back(route_of("POST", "/api/v1/tokens", Access::admin, "Make a token; its secret is shown this once",
                            [&services](const Request& request, const Respond& respond) {
                              respond(json_or_problem(create(services, request), 201));
                            }));
  routes.back().body =
      R"({"type": "object", "required": ["name", "role"], "additionalProperties": false, "properties": {
    "name": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"}, "role": {"enum": ["viewer", "submitter", "admin"]},
    "days": {"type": "integer", "minimum": 0, "maximum": 3650}}})";
  routes.back().failures = {409};
  routes.back().success = 201;
  routes.push_back(route_of("GET", "/api/v1/tokens", Access::admin, "The tokens, without their secrets",
                            [&services](const Request&, const Respond& respond) {
                              json items = json::array();
                              for (const TokenInfo& token : services.tokens.list()) items.push_back(shown(token));
                              respond(json_answer({{"items", items}, {"total", items.size()}, {"next", nullptr}}));
                            }));
  routes.push_back(route_of("DELETE", "/api/v1/tokens/{name}", Access::admin,
                            "Revoke a token and end its browsers' sessions",
                            [&services](const Request& request, const Respond& respond) {
                              const Status done = services.tokens.revoke(request.parameters[0]);
                              respond(done ? json_answer({{"revoked", request.parameters[0]}}) : problem(done.error()));
                            }));
}

}  // namespace fathom::api
