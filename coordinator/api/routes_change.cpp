// Operations on sweeps: POST /api/v1/sweeps/{sweep}/change, …/stop, …/retry, and …/jobs/{job}/rerun, pin and unpin.
#include <algorithm>
#include <optional>

#include <nlohmann/json.hpp>

#include "coordinator/api/http/problem.hpp"
#include "coordinator/api/routes.hpp"
#include "coordinator/store/read_model.hpp"

namespace fathom::api {
namespace {

using nlohmann::json;

constexpr std::int64_t kMostJobs = 1'000'000'000;             // of concurrency and failed
constexpr std::int64_t kMostSeconds = 1000LL * 366 * 86'400;  // of wall and job_wall

Error bad(const std::string& text) { return {Errc::invalid_argument, text}; }

// A body of these keys and no others, each at most once looked at, at least one.
Status check_keys(const json& body, const std::string& where, const std::vector<std::string>& known) {
  std::string all;
  for (const std::string& key : known) all += (all.empty() ? "" : ", ") + key;
  if (!body.is_object() || body.empty()) return bad(where + " must be a JSON object with some of: " + all);
  for (const auto& [key, value] : body.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end())
      return bad(where + " has an unknown key \"" + key + "\"; known: " + all);
  }
  return success();
}

// Into `to` where the body has the key.
template <class T>
Status read_whole(const json& body, const char* key, std::int64_t most, std::optional<T>& to) {
  const auto found = body.find(key);
  if (found == body.end()) return success();
  // An unsigned number beyond what is signed is too large as well.
  const bool whole = found->is_number_integer() && *found >= 0 && *found <= most;
  if (!whole) return bad("\"" + std::string(key) + "\" must be a whole number from 0 to " + std::to_string(most));
  to = found->get<T>();
  return success();
}

Result<core::ChangeSweep> change_of(const std::string& text) {
  const json body = json::parse(text, nullptr, false);
  FATHOM_TRY(check_keys(body, "the body", {"paused", "now", "priority", "weight", "limits"}));
  core::ChangeSweep change;
  if (const auto paused = body.find("paused"); paused != body.end()) {
    if (!paused->is_boolean()) return bad("\"paused\" must be true or false");
    change.paused = paused->get<bool>();
  }
  if (const auto now = body.find("now"); now != body.end()) {
    if (!now->is_boolean()) return bad("\"now\" must be true or false");
    change.now = now->get<bool>();
  }
  FATHOM_TRY(read_whole(body, "priority", 100, change.priority));
  FATHOM_TRY(read_whole(body, "weight", 1000, change.weight));
  const auto limits = body.find("limits");
  if (limits == body.end()) return change;
  FATHOM_TRY(check_keys(*limits, "\"limits\"", {"concurrency", "wall", "job_wall", "failed"}));
  FATHOM_TRY(read_whole(*limits, "concurrency", kMostJobs, change.concurrency));
  FATHOM_TRY(read_whole(*limits, "wall", kMostSeconds, change.wall_seconds));
  FATHOM_TRY(read_whole(*limits, "job_wall", kMostSeconds, change.job_wall_seconds));
  FATHOM_TRY(read_whole(*limits, "failed", kMostJobs, change.failed));
  return change;
}

void change_sweep(Services& services, const Request& request, const Respond& respond) {
  const auto change = change_of(request.body);
  if (!change) return respond(problem(change.error()));
  const std::string id = request.parameters[0];
  const auto make = [change = *change](const core::Sweep& sweep) {
    core::ChangeSweep command = change;
    command.sweep = sweep.number;
    return command;
  };
  apply_to_sweep(services, id, make, respond,
                 [&services, id](const Applied&) { return json_or_problem(services.read.sweep(id)); });
}

Result<bool> now_of(const std::string& text) {
  const json body = json::parse(text, nullptr, false);
  if (!body.is_object() || (!body.empty() && (body.size() > 1 || !body.contains("now") || !body["now"].is_boolean())))
    return bad("the body must be {\"now\": true or false} or {}");
  return body.value("now", false);
}

void stop_sweep(Services& services, const Request& request, const Respond& respond) {
  const auto now = now_of(request.body);
  if (!now) return respond(problem(now.error()));
  const std::string id = request.parameters[0];
  const auto make = [now = *now](const core::Sweep& sweep) {
    return core::CancelSweep{sweep.number, "stopped by a person", !now};
  };
  apply_to_sweep(services, id, make, respond,
                 [&services, id](const Applied&) { return json_or_problem(services.read.sweep(id), 202); });
}

// What a retry or rerun opened again, beside the sweep or job as it is then.
Answer reopened(Result<json> object, const Applied& applied) {
  if (!object) return problem(object.error());
  (*object)["reopened"] = std::get<core::Reopened>(applied.answer).jobs;
  return json_answer(*object);
}

void retry_sweep(Services& services, const Request& request, const Respond& respond) {
  const std::string id = request.parameters[0];
  const auto key = idempotency_key(request);
  if (!key) return respond(problem(key.error()));
  apply_to_sweep(
      services, id,
      [key = *key](const core::Sweep& sweep) {
        return core::RetrySweep{sweep.number, key};
      },
      respond, [&services, id](const Applied& done) { return reopened(services.read.sweep(id), done); });
}

void rerun_job(Services& services, const Request& request, const Respond& respond) {
  const std::string sweep = request.parameters[0], id = request.parameters[1];
  const auto key = idempotency_key(request);
  if (!key) return respond(problem(key.error()));
  const auto make = [sweep, id, key = *key](const core::State& state) -> Result<core::Command> {
    const core::Sweep* in = state.find_sweep(sweep);
    const core::Job* job = in == nullptr ? nullptr : state.find_job(*in, id);
    if (job == nullptr) return Error{Errc::not_found, "there is no job \"" + id + "\" in sweep \"" + sweep + "\""};
    return core::Command(core::RerunJob{job->number, key});
  };
  services.runtime.apply(Runtime::Make(make), [&services, respond, sweep, id](const Result<Applied>& applied) {
    respond_when_visible(services, applied, respond, [&services, sweep, id](const Applied& done) {
      return reopened(services.read.job(sweep, id), done);
    });
  });
}

void pin_result(Services& services, const Request& request, const Respond& respond, bool pinned) {
  const std::string sweep = request.parameters[0], id = request.parameters[1];
  const auto make = [sweep, id, pinned](const core::State& state) -> Result<core::Command> {
    const core::Sweep* in = state.find_sweep(sweep);
    const core::Job* job = in == nullptr ? nullptr : state.find_job(*in, id);
    if (job == nullptr) return Error{Errc::not_found, "there is no job \"" + id + "\" in sweep \"" + sweep + "\""};
    return core::Command(core::PinResult{job->number, pinned});
  };
  services.runtime.apply(Runtime::Make(make), [&services, respond, sweep, id](const Result<Applied>& applied) {
    respond_when_visible(services, applied, respond, [&services, sweep, id](const Applied&) {
      return json_or_problem(services.read.job(sweep, id));
    });
  });
}

Route post(const std::string& pattern, const std::string& summary, Services& services,
           void (*handle)(Services&, const Request&, const Respond&)) {
  Route route = route_of(
      "POST", pattern, Access::submitter, summary,
      [&services, handle](const Request& request, const Respond& respond) { handle(services, request, respond); });
  route.failures = {409};
  return route;
}

const std::vector<Parameter> kKey = {{"Idempotency-Key", "The same key opens nothing twice", true, false}};

}  // namespace

void add_change_routes(std::vector<Route>& routes, Services& services) {
  const std::string sweep = "/api/v1/sweeps/{sweep}";
  Route change = post(sweep + "/change", "Pause or resume the sweep, change its priority, weight or limits (0: none)",
                      services, change_sweep);
  change.body = R"({"type": "object", "minProperties": 1, "additionalProperties": false, "properties": {
    "paused": {"type": "boolean"},
    "now": {"type": "boolean", "description": "with paused: what runs makes a checkpoint and gives its slot back"},
    "priority": {"type": "integer", "minimum": 0, "maximum": 100},
    "weight": {"type": "integer", "minimum": 1, "maximum": 1000},
    "limits": {"type": "object", "minProperties": 1, "additionalProperties": false, "properties": {
      "concurrency": {"type": "integer", "minimum": 0, "maximum": 1000000000},
      "wall": {"type": "integer", "minimum": 0, "maximum": 31622400000, "description": "seconds"},
      "job_wall": {"type": "integer", "minimum": 0, "maximum": 31622400000, "description": "seconds"},
      "failed": {"type": "integer", "minimum": 0, "maximum": 1000000000}}}}})";
  routes.push_back(std::move(change));
  Route stop =
      post(sweep + "/stop", "Start no more of its jobs; what runs goes on to its end, or is ended too with now",
           services, stop_sweep);
  stop.success = 202;
  stop.body = R"({"type": "object", "additionalProperties": false, "properties": {"now": {"type": "boolean"}}})";
  routes.push_back(std::move(stop));
  routes.push_back(post(sweep + "/retry", "A new generation of what failed, and of what was skipped for its sake",
                        services, retry_sweep));
  routes.back().parameters = kKey;
  routes.push_back(
      post(sweep + "/jobs/{job}/rerun", "A new generation of a job that has no result", services, rerun_job));
  routes.back().parameters = kKey;
  routes.push_back(
      post(sweep + "/jobs/{job}/pin", "Let sweeps take the job's result however old it is", services,
           [](Services& s, const Request& request, const Respond& respond) { pin_result(s, request, respond, true); }));
  routes.push_back(post(
      sweep + "/jobs/{job}/unpin", "The job's result ages again (`cache.ttl`)", services,
      [](Services& s, const Request& request, const Respond& respond) { pin_result(s, request, respond, false); }));
}

}  // namespace fathom::api
