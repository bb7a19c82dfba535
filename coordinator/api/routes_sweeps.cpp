#include <nlohmann/json.hpp>

#include "coordinator/api/http/problem.hpp"
#include "coordinator/api/routes.hpp"
#include "coordinator/core/recheck.hpp"
#include "coordinator/store/metric_store.hpp"
#include "coordinator/store/read_model.hpp"

namespace fathom::api {
namespace {

using nlohmann::json;

const std::vector<Parameter> kPaging = {{"limit", "50 unless given", false, true, 1, 1000},
                                        {"cursor", "`next` of the page before", false, false}};

Result<store::Page> page_of(const Request& request) {
  FATHOM_ASSIGN(const std::uint64_t limit, number_of(request, "limit", 50, 1, 1000));
  return store::Page{static_cast<std::uint32_t>(limit), request.value("cursor")};
}

Result<store::JobsQuery> jobs_query(const Request& request) {
  store::JobsQuery query;
  query.state = request.value("state");
  query.stage = request.value("stage");
  query.task = request.value("task");
  query.drop = request.value("drop");
  query.q = request.value("q");
  if (!request.value("sort").empty()) query.sort = request.value("sort");
  const std::string& order = request.value("order");
  if (request.query.contains("order") && order != "asc" && order != "desc") {
    return Error{Errc::invalid_argument, "order must be asc or desc, not \"" + order + "\""};
  }
  query.descending = order == "desc";
  FATHOM_ASSIGN(query.page, page_of(request));
  return query;
}

using Ask = std::function<Result<json>(Services&, const Request&)>;

Route get(const std::string& pattern, const std::string& summary, std::vector<Parameter> parameters, Services& services,
          Ask ask) {
  Route route = route_of("GET", pattern, Access::viewer, summary,
                         [&services, ask = std::move(ask)](const Request& request, const Respond& respond) {
                           respond(json_or_problem(ask(services, request)));
                         });
  route.parameters = std::move(parameters);
  return route;
}

Result<json> list_sweeps(Services& services, const Request& request) {
  FATHOM_ASSIGN(const store::Page page, page_of(request));
  return services.read.sweeps(page);
}

Result<json> list_jobs(Services& services, const Request& request) {
  FATHOM_ASSIGN(const store::JobsQuery query, jobs_query(request));
  return services.read.jobs(request.parameters[0], query);
}

Result<json> list_results(Services& services, const Request& request) {
  FATHOM_ASSIGN(const store::Page page, page_of(request));
  return services.read.results(request.parameters[0], page);
}

json points_of(const std::vector<store::SeriesPoint>& points) {
  json list = json::array();
  for (const store::SeriesPoint& point : points) list.push_back({point.step, point.value});
  return list;
}

Result<json> list_curves(Services& services, const Request& request) {
  store::JobsQuery filter;
  filter.task = request.value("task");
  filter.drop = request.value("drop");
  filter.stage = request.value("stage");
  FATHOM_ASSIGN(const std::uint64_t limit, number_of(request, "limit", 50, 1, 1000));
  FATHOM_ASSIGN(const std::uint64_t most, number_of(request, "max", 200, 4, 2000));
  FATHOM_ASSIGN(const auto jobs,
                services.read.curve_jobs(request.parameters[0], filter, static_cast<std::uint32_t>(limit)));
  std::vector<JobNumber> numbers;
  for (const store::CurveJob& job : jobs) numbers.push_back(job.number);
  store::SeriesQuery query;
  query.name = request.value("name").empty() ? "objective" : request.value("name");
  query.max_points = most;
  FATHOM_ASSIGN(const auto curves, services.metrics.curves(numbers, query));
  json items = json::array();
  auto curve = curves.begin();
  // Both lists are in the order of the jobs; jobs without points have no curve.
  for (const store::CurveJob& job : jobs) {
    if (curve == curves.end() || curve->job != job.number) continue;
    items.push_back({{"job", job.job}, {"label", job.label}, {"points", points_of(curve->points)}});
    ++curve;
  }
  const std::size_t total = items.size();
  return json{{"items", std::move(items)}, {"total", total}, {"next", nullptr}};
}

void cancel_sweep(Services& services, const Request& request, const Respond& respond) {
  const std::string id = request.parameters[0];
  apply_to_sweep(
      services, id, [](const core::Sweep& sweep) { return core::CancelSweep{sweep.number}; }, respond,
      [&services, id](const Applied&) { return json_or_problem(services.read.sweep(id), 202); });
}

// With the jobs that are slow, which only the runtime knows.
void show_sweep(Services& services, const Request& request, const Respond& respond) {
  services.runtime.inspect([&services, respond, id = request.parameters[0]](const core::State& state) {
    json slow = json::array();
    const core::Sweep* sweep = state.find_sweep(id);
    for (const auto& [number, straggler] : services.runtime.stragglers()) {
      const core::Job& job = *state.job(number);
      if (sweep == nullptr || job.sweep != sweep->number) continue;
      slow.push_back({{"job", state.planned(job).id},
                      {"epoch_ms", straggler.epoch.count()},
                      {"median_ms", straggler.median.count()}});
    }
    services.pool([&services, respond, id, slow] {
      auto object = services.read.sweep(id);
      if (object) (*object)["stragglers"] = slow;
      respond(json_or_problem(object));
    });
  });
}

void show_yaml(Services& services, const Request& request, const Respond& respond) {
  auto text = services.read.sweep_yaml(request.parameters[0]);
  respond(text ? text_answer(std::move(*text), "application/yaml; charset=utf-8") : problem(text.error()));
}

// The whole log again from its first event, whatever the sweep: its decisions depend on slots that others held.
Result<json> replay_sweep(Services& services, const Request& request) {
  const std::string& id = request.parameters[0];
  FATHOM_ASSIGN(const json sweep, services.read.sweep(id));
  core::Recheck recheck(id);
  FATHOM_TRY(services.events.load(1, [&](const store::EventRecord& record) -> Status {
    event::Event event;
    if (!event.ParseFromString(record.bytes))
      return Error{Errc::corrupt, "record " + std::to_string(record.seq) + " is no event"};
    return recheck.take(event);
  }));
  recheck.end();
  json out = {{"sweep", id},
              {"events", recheck.events()},
              {"decisions", recheck.decisions()},
              {"identical", !recheck.difference().has_value()},
              {"difference", nullptr}};
  if (const auto& first = recheck.difference())
    out["difference"] = {{"event", first->seq}, {"logged", first->logged}, {"again", first->again}};
  return out;
}

std::vector<Parameter> with_paging(std::vector<Parameter> parameters) {
  parameters.insert(parameters.end(), kPaging.begin(), kPaging.end());
  return parameters;
}

}  // namespace

void add_sweep_routes(std::vector<Route>& routes, Services& services) {
  const std::string sweep = "/api/v1/sweeps/{sweep}";
  const std::vector<Parameter> filters = {{"state", "states, separated by commas", false, false},
                                          {"stage", "stages, separated by commas", false, false},
                                          {"task", "tasks, separated by commas", false, false},
                                          {"drop", "drop labels, separated by commas", false, false},
                                          {"q", "part of an id, task, drop, set or parameter", false, false},
                                          {"sort", "a column of the job object", false, false},
                                          {"order", "of the sorted column", false, false, 0, 0, "^(asc|desc)$"}};
  routes.push_back(get("/api/v1/sweeps", "All sweeps", kPaging, services, list_sweeps));
  const auto with = [&services](void (*handle)(Services&, const Request&, const Respond&)) -> Handle {
    return [&services, handle](const Request& request, const Respond& respond) { handle(services, request, respond); };
  };
  routes.push_back(route_of("GET", sweep, Access::viewer, "One sweep with its counts", with(show_sweep)));
  routes.push_back(route_of("GET", sweep + "/yaml", Access::viewer, "The file as submitted", with(show_yaml)));
  routes.back().type = "application/yaml";
  routes.push_back(
      get(sweep + "/resolved", "The resolved sweep", {}, services,
          [](Services& s, const Request& request) { return s.read.sweep_resolved(request.parameters[0]); }));
  routes.push_back(get(sweep + "/replay",
                       "Every decision about the sweep made again from the log, and the first difference", {}, services,
                       replay_sweep));
  routes.push_back(get(sweep + "/jobs", "The sweep's jobs", with_paging(filters), services, list_jobs));
  routes.push_back(get(sweep + "/results", "Result rows", kPaging, services, list_results));
  routes.push_back(get(sweep + "/curves", "One metric of many jobs, downsampled",
                       {{"name", "metric; the objective unless given", false, false},
                        {"task", "tasks", false, false},
                        {"drop", "drop labels", false, false},
                        {"stage", "stages", false, false},
                        {"limit", "most curves", false, true, 1, 1000},
                        {"max", "most points of a curve", false, true, 4, 2000}},
                       services, list_curves));
  routes.push_back(route_of("POST", sweep + "/cancel", Access::submitter, "Cancel every job that has not ended",
                            with(cancel_sweep)));
  routes.back().success = 202;
  routes.back().failures = {409};
}

}  // namespace fathom::api
