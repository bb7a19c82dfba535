// Workers: who they are, who may join (one-time join tokens), who may not any more.
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

#include "coordinator/api/http/problem.hpp"
#include "coordinator/api/routes.hpp"
#include "coordinator/api/worker_registry.hpp"
#include "coordinator/store/read_model.hpp"

namespace fathom::api {
namespace {

using nlohmann::json;

constexpr std::int64_t kHour = 3600LL * 1000;
constexpr std::int64_t kMostHours = 30 * 24;

// What the read model does not have: a worker's line and clock to the moment, what it says of itself, which devices
// are excluded.
json live(const core::State& state, const std::map<WorkerNumber, Runtime::Connected>& connected) {
  json all = json::object();
  for (const core::Worker& worker : state.workers) {
    json& one = all[std::to_string(worker.number.value())];
    std::vector<std::string> notes;
    if (!worker.unfit.empty()) notes.push_back(worker.unfit);
    for (const core::DeviceState& device : worker.devices) {
      if (!device.excluded) continue;
      one["excluded"].push_back(device.device.name);
      notes.push_back(device.device.name + " is excluded: trainers made no progress there " +
                      std::to_string(device.strikes) + " times in a row; start the worker again to try once more");
    }
    if (const auto line = connected.find(worker.number); line != connected.end()) {
      one["last_seen_ms"] = line->second.heard.time_since_epoch().count();
      one["clock_skew_ms"] = line->second.skew.ms();
      if (std::string skew = line->second.skew.text(); !skew.empty()) notes.push_back(std::move(skew));
    }
    one["notes"] = notes;
  }
  return all;
}

void complete(Services& services, const json& known, json& worker) {
  const auto found = known.find(std::to_string(worker.at("id").get<std::uint64_t>()));
  worker["notes"] = json::array();
  if (found != known.end()) {
    const json excluded = found->value("excluded", json::array());
    for (json& device : worker.at("devices")) {
      device["excluded"] = std::find(excluded.begin(), excluded.end(), device.at("name")) != excluded.end();
    }
    for (const char* key : {"last_seen_ms", "clock_skew_ms", "notes"}) {
      if (found->contains(key)) worker[key] = found->at(key);
    }
  }
  const auto certificate = services.registry.find(worker.at("uid").get<std::string>());
  worker["certificate"] =
      certificate ? json{{"expires", certificate->expires_ms}, {"revoked", certificate->revoked}} : json();
}

void list(Services& services, const Respond& respond) {
  services.runtime.inspect([&services, respond](const core::State& state) {
    services.pool([&services, respond, known = live(state, services.runtime.connected())] {
      auto found = services.read.workers();
      if (found) {
        for (json& worker : found->at("items")) complete(services, known, worker);
      }
      respond(json_or_problem(found));
    });
  });
}

// The uid of the one worker that `text` names: its number, its uid, or a name that no other has.
Result<std::string> uid_of(const json& workers, const std::string& text) {
  std::vector<std::string> named;
  for (const json& worker : workers) {
    if (worker.at("uid") == text || std::to_string(worker.at("id").get<std::uint64_t>()) == text)
      return worker.at("uid").get<std::string>();
    if (worker.at("name") == text) named.push_back(worker.at("uid"));
  }
  if (named.size() == 1) return named[0];
  if (named.empty()) return Error{Errc::not_found, "there is no worker \"" + text + "\""};
  return Error{Errc::failed_precondition,
               std::to_string(named.size()) + " workers are called \"" + text + "\": name one by its number"};
}

void revoke(Services& services, const Request& request, const Respond& respond) {
  const auto found = services.read.workers();
  if (!found) return respond(problem(found.error()));
  const auto uid = uid_of(found->at("items"), request.parameters[0]);
  if (!uid) return respond(problem(uid.error()));
  if (const Status done = services.registry.revoke(*uid); !done) return respond(problem(done.error()));
  services.runtime.expel(*uid);
  respond(json_answer({{"revoked", *uid}}));
}

json shown(const WorkerRegistry::TokenInfo& token) {
  return {{"name", token.name},
          {"role", "worker"},
          {"created", token.created_ms},
          {"expires", token.expires_ms},
          {"used_by", token.used_by.empty() ? json() : json(token.used_by)}};
}

Result<json> make_token(Services& services, const Request& request) {
  const json body = json::parse(request.body, nullptr, false);
  if (!body.is_object()) return Error{Errc::invalid_argument, "the body must be a JSON object"};
  for (const auto& [key, value] : body.items()) {
    if (key != "name" && key != "hours") {
      return Error{Errc::invalid_argument, "unknown key \"" + key + "\"; known: name, hours"};
    }
  }
  const json name = body.value("name", json()), hours = body.value("hours", json(24));
  if (!name.is_string()) return Error{Errc::invalid_argument, "\"name\" must be a text: which worker the token is for"};
  if (!hours.is_number_integer() || hours < 1 || hours > kMostHours) {
    return Error{Errc::invalid_argument, "\"hours\" must be a whole number from 1 to 720"};
  }
  const Millis life{hours.get<std::int64_t>() * kHour};
  FATHOM_ASSIGN(const std::string token, services.registry.create(name.get<std::string>(), life));
  for (const auto& info : services.registry.list()) {
    if (info.name != name.get<std::string>()) continue;
    json made = shown(info);
    made["token"] = token;  // the only time
    return made;
  }
  return Error{Errc::not_found, "the token was revoked meanwhile"};
}

}  // namespace

void add_worker_routes(std::vector<Route>& routes, Services& services) {
  routes.push_back(route_of("GET", "/api/v1/workers", Access::viewer, "Workers, their devices and certificates",
                            [&services](const Request&, const Respond& respond) { list(services, respond); }));
  routes.push_back(route_of(
      "POST", "/api/v1/workers/{worker}/revoke", Access::admin, "Revoke a worker's certificate and end its connection",
      [&services](const Request& request, const Respond& respond) { revoke(services, request, respond); }));
  routes.back().failures = {409};
  routes.push_back(route_of("POST", "/api/v1/join-tokens", Access::admin,
                            "Make a token that lets one worker join once; it is shown this once",
                            [&services](const Request& request, const Respond& respond) {
                              respond(json_or_problem(make_token(services, request), 201));
                            }));
  routes.back().body = R"({"type": "object", "required": ["name"], "additionalProperties": false, "properties": {
    "name": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    "hours": {"type": "integer", "minimum": 1, "maximum": 720}}})";
  routes.back().failures = {409};
  routes.back().success = 201;
  routes.push_back(route_of("GET", "/api/v1/join-tokens", Access::admin, "The join tokens, without their secrets",
                            [&services](const Request&, const Respond& respond) {
                              json items = json::array();
                              for (const auto& token : services.registry.list()) items.push_back(shown(token));
                              respond(json_answer({{"items", items}, {"total", items.size()}, {"next", nullptr}}));
                            }));
  routes.push_back(route_of("DELETE", "/api/v1/join-tokens/{name}", Access::admin, "Revoke a join token",
                            [&services](const Request& request, const Respond& respond) {
                              const Status done = services.registry.remove(request.parameters[0]);
                              respond(done ? json_answer({{"revoked", request.parameters[0]}}) : problem(done.error()));
                            }));
}

}  // namespace fathom::api
