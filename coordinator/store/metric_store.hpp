// Metric points of jobs, outside the event log: keyed (job, generation, attempt, name, depth, step), so that a repeated
// batch changes nothing. Own SQLite file, own thread, own group commit; points are acknowledged after their commit.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/ids.hpp"
#include "common/result.hpp"
#include "coordinator/store/event_store.hpp"

namespace fathom::store {

struct MetricPoint {
  std::string name;          // "train/loss", "eval/accuracy"
  std::uint64_t step = 0;    // optimizer steps
  double value = 0;          // NaN is kept and read back as NaN
  std::int64_t wall_ms = 0;  // Unix milliseconds
  std::int32_t depth = -1;   // drop depth n; -1: has no meaning here
};

struct MetricBatch {
  JobNumber job;
  std::uint32_t generation = 1;
  std::uint32_t attempt = 1;
  std::uint64_t first_sequence = 1;  // of points[0]; grows by one a point, from 1 in each attempt
  std::vector<MetricPoint> points;
};

struct SeriesPoint {
  std::uint64_t step = 0;
  double value = 0;
  std::int64_t wall_ms = 0;
};

struct Series {
  std::string name;
  std::int32_t depth = -1;
  std::vector<SeriesPoint> points;  // by step; of a step only the highest (generation, attempt)
};

struct SeriesQuery {
  std::string name;                   // empty: every name
  std::optional<std::int32_t> depth;  // absent: every depth
  std::size_t max_points = 1000;      // a series; fewer by downsample()
};

struct Curve {
  JobNumber job;
  std::vector<SeriesPoint> points;
};

struct MetricStoreHooks {
  Executor executor;                           // where acknowledgements run; empty: on the store's thread
  std::function<void(const Error&)> on_fatal;  // as in EventStoreHooks
  std::function<void(const CommitStats&)> on_commit;
  // After a commit, on the store's thread: which jobs have new points (for live updates). Must not block.
  std::function<void(const std::vector<JobNumber>&)> on_points;
};

// Thread: every method from any thread.
class MetricStore {
 public:
  // The highest sequence up to which every point of this attempt is durable; an error: not stored, send again later
  // (resource_exhausted) or never (the store is broken).
  using Acknowledge = std::function<void(const Result<std::uint64_t>& last_sequence)>;
  virtual ~MetricStore() = default;
  virtual void append(MetricBatch batch, Acknowledge acknowledge) = 0;
  virtual Result<std::vector<Series>> series(JobNumber job, const SeriesQuery& query) = 0;
  // One metric of many jobs, downsampled, in the order asked; jobs without points are left out. depth absent: the
  // lowest depth a job has.
  virtual Result<std::vector<Curve>> curves(const std::vector<JobNumber>& jobs, const SeriesQuery& query) = 0;
};

// As open_event_store().
Result<std::unique_ptr<MetricStore>> open_metric_store(const std::filesystem::path& file, MetricStoreHooks hooks);

// Takes every point of jobs with this number or a higher one out of the file, which nobody may have open: their numbers
// will be given to other jobs. An absent file is success.
Status forget_metrics(const std::filesystem::path& file, JobNumber first);

// At most max points: equal shares of the series each give their smallest and largest value, in their order; the first
// and the last point always stay. max < 4 counts as 4; 0 = all.
std::vector<SeriesPoint> downsample(const std::vector<SeriesPoint>& points, std::size_t max);

}  // namespace fathom::store
