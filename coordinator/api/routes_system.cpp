// Events, artifacts, the log, metrics, health.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>

#include "common/descriptor.hpp"
#include "common/files.hpp"
#include "coordinator/api/event_hub.hpp"
#include "coordinator/api/http/problem.hpp"
#include "coordinator/api/routes.hpp"
#include "coordinator/artifacts/artifact_store.hpp"
#include "coordinator/store/event_export.hpp"
#include "coordinator/store/read_model.hpp"
#include "coordinator/telemetry/telemetry.hpp"

namespace fathom::api {
namespace {

using nlohmann::json;

constexpr std::size_t kPiece = 256 * 1024;

// An artifact piece by piece: never more than one piece in memory.
class ArtifactSource final : public BodySource {
 public:
  explicit ArtifactSource(std::unique_ptr<artifacts::ArtifactReader> reader) : reader_(std::move(reader)) {}
  [[nodiscard]] std::uint64_t size() const override { return reader_->size(); }
  Result<std::string> next() override {
    auto piece = reader_->read(offset_, kPiece);
    if (piece) offset_ += piece->size();
    return piece;
  }

 private:
  std::unique_ptr<artifacts::ArtifactReader> reader_;
  std::uint64_t offset_ = 0;
};

Route get(const std::string& pattern, const std::string& summary, Handle handle) {
  return route_of("GET", pattern, Access::viewer, summary, std::move(handle));
}

void artifact(Services& services, const Request& request, const Respond& respond) {
  auto reader = services.artifacts.open(request.parameters[0]);
  if (!reader) return respond(problem(reader.error()));
  Answer answer;
  answer.type = "application/octet-stream";
  // Named by its content: what is fetched once never changes.
  answer.headers = {{"Cache-Control", "private, max-age=31536000, immutable"},
                    {"ETag", "\"" + request.parameters[0] + "\""}};
  answer.source = std::make_unique<ArtifactSource>(std::move(*reader));
  respond(std::move(answer));
}

// Every durable event as an export, first into a file without a name: its length has to be known, and the log goes on.
Result<std::unique_ptr<BodySource>> export_source(Services& services) {
  Descriptor file(::open(services.scratch.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.get() < 0) return system_error(errno, "making a file in", services.scratch);
  std::uint64_t size = 0;
  store::EventExporter exporter([&](std::string_view bytes) {
    size += bytes.size();
    return write_all(file.get(), bytes, "the export");
  });
  FATHOM_TRY(services.events.admit());  // nothing may fill the disk that running jobs need
  FATHOM_TRY(exporter.begin({services.events.id(), services.version}));
  FATHOM_TRY(services.events.load(1, [&](const store::EventRecord& record) { return exporter.add(record); }));
  FATHOM_TRY(exporter.end());
  return std::unique_ptr<BodySource>(
      std::make_unique<ArtifactSource>(std::make_unique<artifacts::ArtifactReader>(file.release(), size)));
}

void log_export(Services& services, const Respond& respond) {
  services.pool([&services, respond] {
    auto source = export_source(services);
    if (!source) return respond(problem(source.error()));
    Answer answer;
    answer.type = "application/x-ndjson";
    answer.source = std::move(*source);
    respond(std::move(answer));
  });
}

void events(Services& services, const Request& request, const Respond& respond) {
  const std::string& sweep = request.value("sweep");
  if (!sweep.empty()) {
    if (const auto found = services.read.sweep(sweep); !found) return respond(problem(found.error()));
  }
  const std::string& last = request.header("last-event-id");
  std::uint64_t after = 0;
  const auto [end, error] = std::from_chars(last.data(), last.data() + last.size(), after);
  const bool resumes = !last.empty() && error == std::errc() && end == last.data() + last.size();
  Answer answer;
  answer.type = "text/event-stream";
  answer.live = services.hub->open(sweep, resumes ? std::optional(after) : std::nullopt);
  respond(std::move(answer));
}

Gauges measure(Services& services, const core::State& state) {
  Gauges gauges;
  const core::Counts counts = state.sweeps.counts();
  for (std::size_t phase = 1; phase < core::kPhases; ++phase) {
    gauges.jobs[core::name_of(static_cast<core::Phase>(phase))] = counts[phase];
  }
  gauges.jobs_in_memory = state.jobs() - state.sweeps.jobs_away();
  for (const char* known : {"ready", "draining", "gone"}) gauges.workers[known] = 0;
  for (const core::Worker& worker : state.workers) ++gauges.workers[core::name_of(worker.state)];
  gauges.connected = services.runtime.connected().size();
  gauges.leases = state.leases.size();
  gauges.stragglers = services.runtime.stragglers().size();
  gauges.notices = state.notices.size();
  gauges.sweeps_open = state.open_sweeps.size();
  gauges.epoch = state.epoch;
  gauges.artifact_bytes = services.artifacts.total_bytes();
  gauges.http_sessions = *services.http_sessions;
  gauges.event_streams = services.hub->streams();
  return gauges;
}

void prometheus(Services& services, const Respond& respond) {
  services.runtime.inspect([&services, respond](const core::State& state) {
    services.pool([&services, respond, gauges = measure(services, state)] {
      respond(text_answer(services.telemetry.text(gauges), "text/plain; version=0.0.4; charset=utf-8"));
    });
  });
}

}  // namespace

void add_system_routes(std::vector<Route>& routes, Services& services) {
  routes.push_back(
      get("/api/v1/artifacts/{sha256}", "The bytes of an artifact",
          [&services](const Request& request, const Respond& respond) { artifact(services, request, respond); }));
  routes.back().type = "application/octet-stream";
  routes.push_back(get("/api/v1/log", "Every durable event, as fathom-coordinator import takes it",
                       [&services](const Request&, const Respond& respond) { log_export(services, respond); }));
  routes.back().access = Access::admin;
  routes.back().type = "application/x-ndjson";
  routes.push_back(
      get("/api/v1/events", "Server-sent events: sweep, job, metric, worker",
          [&services](const Request& request, const Respond& respond) { events(services, request, respond); }));
  routes.back().parameters = {{"sweep", "only of this sweep", false, false},
                              {"Last-Event-ID", "where to go on", true, false}};
  routes.back().type = "text/event-stream";
  routes.push_back(get("/metrics", "Prometheus metrics",
                       [&services](const Request&, const Respond& respond) { prometheus(services, respond); }));
  routes.back().type = "text/plain";
  routes.push_back(get("/healthz", "Whether the coordinator answers", [](const Request&, const Respond& respond) {
    respond(json_answer({{"status", "ok"}}));
  }));
  routes.back().access = Access::open;
}

}  // namespace fathom::api
