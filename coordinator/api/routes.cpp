#include "coordinator/api/routes.hpp"

#include <charconv>

#include "coordinator/api/http/problem.hpp"
#include "coordinator/store/read_model.hpp"

namespace fathom::api {
namespace {

constexpr std::size_t kLongestKey = 200;

}  // namespace

std::vector<Route> make_routes(Services& services) {
  std::vector<Route> routes;
  add_submit_route(routes, services);
  add_sweep_routes(routes, services);
  add_change_routes(routes, services);
  add_job_routes(routes, services);
  add_cache_routes(routes, services);
  add_system_routes(routes, services);
  add_token_routes(routes, services);
  add_worker_routes(routes, services);
  add_browser_routes(routes, services);
  return routes;
}

Route route_of(const std::string& method, const std::string& pattern, Access access, const std::string& summary,
               Handle handle) {
  Route route;
  route.method = method;
  route.pattern = pattern;
  route.access = access;
  route.summary = summary;
  route.handle = std::move(handle);
  return route;
}

Result<std::uint64_t> number_of(const Request& request, const std::string& name, std::uint64_t otherwise,
                                std::uint64_t low, std::uint64_t high) {
  if (!request.query.contains(name)) return otherwise;
  const std::string& text = request.value(name);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
    return Error{Errc::invalid_argument, name + " must be a whole number from " + std::to_string(low) + " to " +
                                             std::to_string(high) + ", not \"" + text + "\""};
  }
  return value;
}

Result<std::string> idempotency_key(const Request& request) {
  std::string key = request.header("idempotency-key");
  if (key.size() > kLongestKey) {
    return Error{Errc::invalid_argument,
                 "an Idempotency-Key has at most " + std::to_string(kLongestKey) + " characters"};
  }
  return key;
}

void apply_to_sweep(Services& services, const std::string& id, std::function<core::Command(const core::Sweep&)> make,
                    Respond respond, std::function<Answer(const Applied&)> answer) {
  const auto find = [id, make = std::move(make)](const core::State& state) -> Result<core::Command> {
    const core::Sweep* sweep = state.find_sweep(id);
    if (sweep == nullptr) return Error{Errc::not_found, "there is no sweep \"" + id + "\""};
    return make(*sweep);
  };
  services.runtime.apply(Runtime::Make(find), [&services, respond = std::move(respond),
                                               answer = std::move(answer)](const Result<Applied>& applied) {
    respond_when_visible(services, applied, respond, answer);
  });
}

void respond_when_visible(Services& services, const Result<Applied>& applied, Respond respond,
                          std::function<Answer(const Applied&)> make) {
  if (!applied) return respond(problem(applied.error()));
  // Not on the core's strand: the read model is behind by its own work.
  services.pool([&services, applied = *applied, respond = std::move(respond), make = std::move(make)] {
    // A read model that is late does not make the write undone: the answer comes in any case.
    (void)services.read.wait_for(applied.seq, Millis{5000});
    respond(make(applied));
  });
}

}  // namespace fathom::api
