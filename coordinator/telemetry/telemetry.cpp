#include "coordinator/telemetry/telemetry.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <sstream>

namespace fathom::api {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Registry;

namespace {

Family<Counter>& counter(Registry& registry, const char* name, const char* help) {
  return BuildCounter().Name(name).Help(help).Register(registry);
}

Family<Gauge>& gauge(Registry& registry, const char* name, const char* help) {
  return BuildGauge().Name(name).Help(help).Register(registry);
}

Family<Histogram>& histogram(Registry& registry, const char* name, const char* help) {
  return BuildHistogram().Name(name).Help(help).Register(registry);
}

// Seconds. An fsync takes 0.1 ms on a good SSD and 30 ms on a bad disk; answers are in the same range.
const Histogram::BucketBoundaries& seconds_buckets() {
  static const Histogram::BucketBoundaries buckets = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                                      0.1,    0.25,  0.5,    1,     2.5,  5,     10};
  return buckets;
}

}  // namespace

struct Telemetry::Families {
  Registry registry;
  Counter& events = counter(registry, "fathom_events_appended_total", "Events that became durable.").Add({});
  Counter& event_bytes = counter(registry, "fathom_event_bytes_total", "Bytes of those events.").Add({});
  Histogram& fsync =
      histogram(registry, "fathom_fsync_seconds", "One group commit with its fsync.").Add({}, seconds_buckets());
  Counter& expired =
      counter(registry, "fathom_leases_expired_total", "Leases whose worker was silent too long.").Add({});
  Family<Counter>& ended = counter(registry, "fathom_jobs_ended_total", "Jobs that reached an end, by its kind.");
  Counter& reused = counter(registry, "fathom_results_reused_total",
                            "Jobs that took the result of an equal one instead of being trained.")
                        .Add({});
  Counter& items =
      counter(registry, "fathom_items_received_total", "Items of workers, repeated ones included.").Add({});
  Counter& points = counter(registry, "fathom_metric_points_received_total", "Metric points of workers.").Add({});
  Counter& assigned = counter(registry, "fathom_jobs_assigned_total", "Assignments sent to workers.").Add({});
  Counter& refused = counter(registry, "fathom_workers_refused_total", "Hellos that were refused.").Add({});
  Family<Counter>& notified =
      counter(registry, "fathom_notifications_total", "Messages to webhooks, by what became of them.");
  Family<Counter>& requests = counter(registry, "fathom_http_requests_total", "Answered HTTP requests.");
  Family<Histogram>& latency =
      histogram(registry, "fathom_http_request_seconds", "From a request's last byte to its answer.");
  Family<Gauge>& jobs = gauge(registry, "fathom_jobs", "Jobs by state.");
  Gauge& in_memory =
      gauge(registry, "fathom_jobs_in_memory", "Jobs but for those of sweeps that have ended and left memory.").Add({});
  Family<Gauge>& workers = gauge(registry, "fathom_workers", "Workers by state.");
  Gauge& connected = gauge(registry, "fathom_workers_connected", "Workers with a connection.").Add({});
  Gauge& leases = gauge(registry, "fathom_leases", "Leases that are held.").Add({});
  Gauge& stragglers = gauge(registry, "fathom_stragglers", "Jobs that are slow beside their peers.").Add({});
  Gauge& sweeps = gauge(registry, "fathom_sweeps_open", "Sweeps that have not ended.").Add({});
  Gauge& artifacts = gauge(registry, "fathom_artifact_bytes", "Bytes of committed artifacts.").Add({});
  Gauge& notices = gauge(registry, "fathom_notifications_open", "Messages that no webhook has taken yet.").Add({});
  Gauge& epoch = gauge(registry, "fathom_coordinator_epoch", "Starts of this coordinator.").Add({});
  Gauge& sessions = gauge(registry, "fathom_http_sessions", "Open HTTP connections.").Add({});
  Gauge& streams = gauge(registry, "fathom_event_streams", "Open event streams.").Add({});
};

Telemetry::Telemetry() : families_(std::make_unique<Families>()) {}
Telemetry::~Telemetry() = default;

void Telemetry::committed(std::size_t events, std::size_t bytes, double seconds) {
  families_->events.Increment(static_cast<double>(events));
  families_->event_bytes.Increment(static_cast<double>(bytes));
  families_->fsync.Observe(seconds);
}

void Telemetry::lease_expired() { families_->expired.Increment(); }
void Telemetry::job_ended(const std::string& state) { families_->ended.Add({{"state", state}}).Increment(); }
void Telemetry::result_reused() { families_->reused.Increment(); }
void Telemetry::items(std::size_t count) { families_->items.Increment(static_cast<double>(count)); }
void Telemetry::points(std::size_t count) { families_->points.Increment(static_cast<double>(count)); }
void Telemetry::assigned() { families_->assigned.Increment(); }
void Telemetry::refused() { families_->refused.Increment(); }
void Telemetry::notified(bool delivered) {
  families_->notified.Add({{"result", delivered ? "delivered" : "given_up"}}).Increment();
}

void Telemetry::http(const std::string& method, const std::string& route, int status, double seconds) {
  families_->requests.Add({{"method", method}, {"route", route}, {"status", std::to_string(status)}}).Increment();
  families_->latency.Add({{"route", route}}, seconds_buckets()).Observe(seconds);
}

std::string Telemetry::text(const Gauges& gauges) {
  for (const auto& [state, count] : gauges.jobs)
    families_->jobs.Add({{"state", state}}).Set(static_cast<double>(count));
  families_->in_memory.Set(static_cast<double>(gauges.jobs_in_memory));
  for (const auto& [state, count] : gauges.workers)
    families_->workers.Add({{"state", state}}).Set(static_cast<double>(count));
  families_->connected.Set(static_cast<double>(gauges.connected));
  families_->leases.Set(static_cast<double>(gauges.leases));
  families_->stragglers.Set(static_cast<double>(gauges.stragglers));
  families_->sweeps.Set(static_cast<double>(gauges.sweeps_open));
  families_->artifacts.Set(static_cast<double>(gauges.artifact_bytes));
  families_->notices.Set(static_cast<double>(gauges.notices));
  families_->epoch.Set(static_cast<double>(gauges.epoch));
  families_->sessions.Set(static_cast<double>(gauges.http_sessions));
  families_->streams.Set(static_cast<double>(gauges.event_streams));
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families_->registry.Collect());
  return out.str();
}

}  // namespace fathom::api
