// What people ask: SQL tables and counters made from the durable events, on their own thread and in their own file, so
// that reading never slows a decision. Rebuilt from the log when the file is missing, of another version or of another
// log. JSON of every answer: docs/protocol.md "REST".
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "common/clock.hpp"
#include "common/ids.hpp"
#include "common/result.hpp"
#include "coordinator/store/event_store.hpp"

namespace fathom::sweeps {
struct Plan;
}

namespace fathom::store {

struct Page {
  std::uint32_t limit = 50;  // 1..1000, clamped
  std::string cursor;        // `next` of the page before; empty: from the start. A bad one is invalid_argument
};

// Empty = no filter. Several values of one filter are separated by commas.
struct JobsQuery {
  std::string state, stage, task, drop;
  std::string q;                // part of an id, task, drop, set or parameter
  std::string sort = "number";  // a column of the job object; else invalid_argument
  bool descending = false;
  Page page;
};

// What a batch of events changed. Jobs made by a submit are not listed: their sweep is.
struct Changes {
  std::uint64_t seq = 0;            // applied up to here
  std::vector<std::string> sweeps;  // ids
  std::vector<JobNumber> jobs;
  std::size_t submitted = 0;  // jobs of new sweeps
  bool workers = false;
};

// A job whose curve is to be drawn, for MetricStore::curves().
struct CurveJob {
  JobNumber number;
  std::string job;    // 16 hex digits
  std::string label;  // "mr standard lr=0.001 seed 1"
};

// Thread: every method from any thread; queries wait at most for other queries.
class ReadModel {
 public:
  virtual ~ReadModel() = default;

  // Says that events up to seq are durable. Does not wait.
  virtual void notify(std::uint64_t seq) = 0;
  [[nodiscard]] virtual std::uint64_t applied() const = 0;
  // Somebody was told of what event `seq` made. Who asks for something that is not there, or for all sweeps, waits a
  // few seconds for it at most; other questions never do. Does not wait.
  virtual void expect(std::uint64_t seq) = 0;
  // Until events up to seq are applied, so that who wrote reads its own write. unavailable after the timeout; the error
  // that stopped the read model, if one did.
  virtual Status wait_for(std::uint64_t seq, Millis timeout) = 0;
  // `changed` runs on the read model's thread after each applied batch and must not block. Call before the first
  // notify.
  virtual void subscribe(std::function<void(const Changes&)> changed) = 0;

  // Lists: {"items", "total", "next"}. Objects: not_found names what was asked for.
  virtual Result<nlohmann::json> sweeps(const Page& page) = 0;
  virtual Result<nlohmann::json> sweep(const std::string& sweep) = 0;
  virtual Result<std::string> sweep_yaml(const std::string& sweep) = 0;
  virtual Result<nlohmann::json> sweep_resolved(const std::string& sweep) = 0;
  virtual Result<nlohmann::json> jobs(const std::string& sweep, const JobsQuery& query) = 0;
  virtual Result<nlohmann::json> job(const std::string& sweep, const std::string& job) = 0;
  virtual Result<nlohmann::json> job_events(const std::string& sweep, const std::string& job, const Page& page) = 0;
  virtual Result<nlohmann::json> results(const std::string& sweep, const Page& page) = 0;
  virtual Result<nlohmann::json> workers() = 0;

  // The job whose metric points and log it shows: the one that was trained, where it took its result from another.
  virtual Result<JobNumber> trained_job(const std::string& sweep, const std::string& job) = 0;
  virtual Result<JobNumber> job_number(const std::string& sweep, const std::string& job) = 0;
  // The short job object by number, for server-sent events; with its sweep's id in "sweep".
  virtual Result<nlohmann::json> job_by_number(JobNumber number) = 0;
  virtual Result<std::vector<CurveJob>> curve_jobs(const std::string& sweep, const JobsQuery& filter,
                                                   std::uint32_t limit) = 0;
  // What changed after `seq` (a stream that resumes): {"seq", "sweeps": [objects], "jobs": [short objects]}, of one
  // sweep or of all (empty). At most `limit` jobs, the newest.
  virtual Result<nlohmann::json> changes_after(std::uint64_t seq, const std::string& sweep, std::uint32_t limit) = 0;
};

// The plan of the sweep that event `seq` submitted, where somebody has it; nullptr: it is expanded again. May wait.
using PlanOf = std::function<std::shared_ptr<const sweeps::Plan>(std::uint64_t seq)>;

// `events` must outlive the read model. Starts its thread, which catches up at once and asks `plans` (may be empty).
Result<std::unique_ptr<ReadModel>> open_read_model(const std::filesystem::path& file, EventStore& events,
                                                   PlanOf plans = {});

}  // namespace fathom::store
