#include <cmath>
#include <nlohmann/json.hpp>

#include "coordinator/api/http/problem.hpp"
#include "coordinator/api/routes.hpp"
#include "coordinator/core/inspect.hpp"
#include "coordinator/store/log_store.hpp"
#include "coordinator/store/metric_store.hpp"
#include "coordinator/store/read_model.hpp"

namespace fathom::api {
namespace {

using nlohmann::json;

Route make(const std::string& method, const std::string& rest, const std::string& summary, Handle handle) {
  return route_of(method, "/api/v1/sweeps/{sweep}/jobs/{job}" + rest,
                  method == "GET" ? Access::viewer : Access::submitter, summary, std::move(handle));
}

const core::Job* job_in(const core::State& state, const std::string& sweep, const std::string& job) {
  const core::Sweep* found = state.find_sweep(sweep);
  return found == nullptr ? nullptr : state.find_job(*found, job);
}

// What the read model knows, and why the job is not running, which only the state knows.
void show(Services& services, const Request& request, const Respond& respond) {
  const std::string sweep = request.parameters[0];
  const std::string id = request.parameters[1];
  services.runtime.inspect([&services, respond, sweep, id](const core::State& state) {
    const core::Job* job = job_in(state, sweep, id);
    std::string explained = job == nullptr ? std::string() : core::explain(state, *job);
    if (const auto slow = job == nullptr ? std::nullopt : services.runtime.straggler(*job)) {
      explained += " It is slow: its epoch takes " + std::to_string(slow->epoch.count() / 1000) +
                   " s, those of its peers " + std::to_string(slow->median.count()) + " ms (median).";
    }
    services.pool([&services, respond, sweep, id, explained] {
      auto object = services.read.job(sweep, id);
      if (object) (*object)["explain"] = explained;
      respond(json_or_problem(object));
    });
  });
}

json points_of(const std::vector<store::SeriesPoint>& points) {
  json list = json::array();
  for (const store::SeriesPoint& point : points) list.push_back({point.step, point.value, point.wall_ms});
  return list;
}

Result<json> metrics(Services& services, const Request& request) {
  FATHOM_ASSIGN(const JobNumber number, services.read.trained_job(request.parameters[0], request.parameters[1]));
  FATHOM_ASSIGN(const std::uint64_t most, number_of(request, "max", 1000, 4, 100'000));
  store::SeriesQuery query;
  query.name = request.value("name");
  query.max_points = most;
  FATHOM_ASSIGN(const auto found, services.metrics.series(number, query));
  json list = json::array();
  for (const store::Series& series : found) {
    list.push_back({{"name", series.name},
                    {"depth", series.depth < 0 ? json() : json(series.depth)},
                    {"points", points_of(series.points)}});
  }
  return json{{"series", std::move(list)}};
}

Result<std::string> log_text(Services& services, const Request& request) {
  FATHOM_ASSIGN(const JobNumber number, services.read.trained_job(request.parameters[0], request.parameters[1]));
  FATHOM_ASSIGN(const std::uint64_t tail, number_of(request, "tail", 64 * 1024, 1, 16U << 20));
  return services.logs.tail(number, tail);
}

Result<json> events(Services& services, const Request& request) {
  FATHOM_ASSIGN(const std::uint64_t limit, number_of(request, "limit", 50, 1, 1000));
  return services.read.job_events(request.parameters[0], request.parameters[1],
                                  {static_cast<std::uint32_t>(limit), request.value("cursor")});
}

void cancel(Services& services, const Request& request, const Respond& respond) {
  const std::string sweep = request.parameters[0];
  const std::string id = request.parameters[1];
  const auto command = [sweep, id](const core::State& state) -> Result<core::Command> {
    const core::Job* job = job_in(state, sweep, id);
    if (job == nullptr) return Error{Errc::not_found, "there is no job \"" + id + "\" in sweep \"" + sweep + "\""};
    return core::Command(core::CancelJob{job->number});
  };
  services.runtime.apply(Runtime::Make(command), [&services, respond, sweep, id](const Result<Applied>& applied) {
    respond_when_visible(services, applied, respond, [&services, sweep, id](const Applied&) {
      return json_or_problem(services.read.job(sweep, id), 202);
    });
  });
}

}  // namespace

void add_job_routes(std::vector<Route>& routes, Services& services) {
  routes.push_back(
      make("GET", "", "One job with settings, needs, attempts, result and files",
           [&services](const Request& request, const Respond& respond) { show(services, request, respond); }));
  routes.push_back(make("GET", "/metrics", "Metric points, downsampled",
                        [&services](const Request& request, const Respond& respond) {
                          respond(json_or_problem(metrics(services, request)));
                        }));
  routes.back().parameters = {{"name", "one metric; all unless given", false, false},
                              {"max", "most points of a series", false, true, 4, 100'000}};
  routes.push_back(
      make("GET", "/events", "What happened to the job", [&services](const Request& request, const Respond& respond) {
        respond(json_or_problem(events(services, request)));
      }));
  routes.back().parameters = {{"limit", "50 unless given", false, true, 1, 1000},
                              {"cursor", "`next` of the page before", false, false}};
  routes.push_back(make("GET", "/log", "The end of what the job printed",
                        [&services](const Request& request, const Respond& respond) {
                          auto text = log_text(services, request);
                          respond(text ? text_answer(std::move(*text)) : problem(text.error()));
                        }));
  routes.back().parameters = {{"tail", "bytes", false, true, 1, 16U << 20}};
  routes.back().type = "text/plain";
  routes.push_back(
      make("POST", "/cancel", "Cancel the job",
           [&services](const Request& request, const Respond& respond) { cancel(services, request, respond); }));
  routes.back().success = 202;
  routes.back().failures = {409};
}

}  // namespace fathom::api
