// The coordinator's numbers for Prometheus: counters that grow as things happen, gauges that are set when somebody
// asks, and the text format. Names: docs/operations, "Metrics"; all begin with fathom_.
//
// Thread: every method from any thread; counting is one atomic addition. Owner: the coordinator. Failures: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace fathom::api {

// What is measured at the moment of a scrape.
struct Gauges {
  std::map<std::string, std::uint64_t> jobs;     // by state, every sweep together
  std::uint64_t jobs_in_memory = 0;              // of sweeps that were not put away
  std::map<std::string, std::uint64_t> workers;  // by state
  std::uint64_t connected = 0;                   // workers with a connection
  std::uint64_t leases = 0;
  std::uint64_t stragglers = 0;
  std::uint64_t sweeps_open = 0;
  std::uint64_t artifact_bytes = 0;
  std::uint64_t notices = 0;  // messages to webhooks that are not settled
  std::uint64_t epoch = 0;
  std::uint64_t http_sessions = 0;
  std::uint64_t event_streams = 0;
};

class Telemetry {
 public:
  Telemetry();
  ~Telemetry();
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;

  // One transaction of the event store: events in it, their bytes, seconds with its fsync.
  void committed(std::size_t events, std::size_t bytes, double seconds);
  void lease_expired();
  void job_ended(const std::string& state);
  void result_reused();
  void items(std::size_t count);
  void points(std::size_t count);
  void assigned();
  void refused();                 // a worker's hello
  void notified(bool delivered);  // a message to a webhook: taken, or given up
  // `route` is the pattern, so that the number of series does not grow with the number of jobs.
  void http(const std::string& method, const std::string& route, int status, double seconds);

  // Sets the gauges and gives everything in the text format, version 0.0.4.
  std::string text(const Gauges& gauges);

 private:
  struct Families;
  std::unique_ptr<Families> families_;
};

}  // namespace fathom::api
