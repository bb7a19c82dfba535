// One worker's connection: its hello under its certificate, or a join token that is traded for one; then heartbeats,
// items, metric points, log text and files; the core's assignments and stops the other way.
//
// Thread: the connection's strand, except deliver() and dismiss(), which the runtime's strand calls. Owner: the
// connection's callbacks, and the runtime while the worker is joined. Failures: a peer that breaks the protocol is
// dismissed; silence for two and a half heartbeats ends the connection (leases end by themselves).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/clock.hpp"
#include "common/net/connection.hpp"
#include "coordinator/api/audit_log.hpp"
#include "coordinator/api/failure_limit.hpp"

namespace fathom::artifacts {
class ArtifactStore;
}
namespace fathom::store {
class LogStore;
class MetricStore;
}  // namespace fathom::store

namespace fathom::api {

class ArtifactKeeper;
class Runtime;
class Telemetry;
class WorkerRegistry;

// What all sessions share; outlives them.
struct WorkerServices {
  Runtime& runtime;
  artifacts::ArtifactStore& artifacts;
  ArtifactKeeper& keeper;
  store::MetricStore& metrics;
  store::LogStore& logs;
  Telemetry& telemetry;
  WorkerRegistry& registry;
  FailureLimit& failures;                          // of workers that are refused, by address
  std::function<void(const AuditEntry&)> audited;  // joins, and what a worker was refused
  Millis heartbeat{3'000};
  Millis lease{15'000};
  Millis orphan_grace{600'000};
};

// The connection's limits for a worker that is to send its first message within `patience` and a heartbeat every
// `heartbeat`.
net::Connection::Limits worker_limits(Millis heartbeat, Millis patience);

// TLS did not believe the certificate that somebody showed.
void refused_certificate(WorkerServices& services, const std::string& peer, const std::string& why);

// Takes the connection over. `services` outlives it.
void serve_worker(std::shared_ptr<net::Connection> connection, WorkerServices& services);

}  // namespace fathom::api
