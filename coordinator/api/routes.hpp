// What the REST interface is made of (docs/protocol.md "REST, version 1"): handlers that ask the read model, or give a
// command to the runtime and answer when it is durable.
// Thread: handlers run on any HTTP session's strand. Services outlives the routes.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/api/router.hpp"
#include "coordinator/api/runtime.hpp"

namespace fathom::artifacts {
class ArtifactStore;
}
namespace fathom::store {
class LogStore;
class MetricStore;
class ReadModel;
}  // namespace fathom::store

namespace fathom::notify {
class Notifier;
}

namespace fathom::api {

class EventHub;
class Telemetry;
class WorkerRegistry;

struct Services {
  Runtime& runtime;
  store::EventStore& events;
  store::ReadModel& read;
  store::MetricStore& metrics;
  store::LogStore& logs;
  artifacts::ArtifactStore& artifacts;
  Auth& auth;
  TokenStore& tokens;
  WorkerRegistry& registry;
  std::shared_ptr<EventHub> hub;
  Telemetry& telemetry;
  std::function<void(std::function<void()>)> pool;  // runs work that may block, on another thread
  std::shared_ptr<std::atomic<std::size_t>> http_sessions;
  std::string version;
  std::uint32_t max_jobs = 100'000;  // of one sweep
  std::string scratch;               // folder for files that live as long as one answer
  const notify::Notifier& notifier;
};

// Everything, in the order of docs/protocol.md.
std::vector<Route> make_routes(Services& services);

// The parts.
void add_sweep_routes(std::vector<Route>& routes, Services& services);
void add_change_routes(std::vector<Route>& routes, Services& services);
void add_submit_route(std::vector<Route>& routes, Services& services);
void add_cache_routes(std::vector<Route>& routes, Services& services);
void add_job_routes(std::vector<Route>& routes, Services& services);
void add_system_routes(std::vector<Route>& routes, Services& services);
void add_token_routes(std::vector<Route>& routes, Services& services);
void add_worker_routes(std::vector<Route>& routes, Services& services);
void add_browser_routes(std::vector<Route>& routes, Services& services);

using Handle = std::function<void(const Request&, Respond)>;

// A route with what every one has; the rest is set where it is made.
Route route_of(const std::string& method, const std::string& pattern, Access access, const std::string& summary,
               Handle handle);

// A whole number of the query between low and high, `otherwise` where the query has none.
Result<std::uint64_t> number_of(const Request& request, const std::string& name, std::uint64_t otherwise,
                                std::uint64_t low, std::uint64_t high);

// The Idempotency-Key of a request, "" where it has none. invalid_argument: it is longer than 200 characters.
Result<std::string> idempotency_key(const Request& request);

// Gives the command that `make` makes of the sweep `id`, and answers from `answer` when the read model shows it.
// Answers 404 where there is no such sweep.
void apply_to_sweep(Services& services, const std::string& id, std::function<core::Command(const core::Sweep&)> make,
                    Respond respond, std::function<Answer(const Applied&)> answer);

// Answers from `make` once the read model shows what `applied` stored (or five seconds have passed).
void respond_when_visible(Services& services, const Result<Applied>& applied, Respond respond,
                          std::function<Answer(const Applied&)> make);

}  // namespace fathom::api
