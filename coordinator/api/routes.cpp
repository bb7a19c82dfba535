#include "coordinator/api/routes.hpp"

#include <charconv>

#include "coordinator/api/http/problem.hpp"
#include "coordinator/store/read_model.hpp"

namespace fathom::api {

std::vector<Route> make_routes(Services& services) {
  std::vector<Route> routes;
  add_submit_route(routes, services);
  add_sweep_routes(routes, services);
  add_change_routes(routes, services);
  add_job_routes(routes, services);
  add_system_routes(routes, services);
  add_token_routes(routes, services);
  add_worker_routes(routes, services);
  add_browser_routes(routes, services);
  return routes;
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
