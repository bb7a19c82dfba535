// Rows of jobs between a read model's batches: read once, changed in memory by each event, written once by flush(). A
// job that goes through all its states within one batch costs one UPDATE. Thread: the read model's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>

#include "common/result.hpp"
#include "coordinator/store/sqlite.hpp"

namespace fathom::store {

// The columns of read_schema.hpp. `sweep` and `stage` never change.
struct JobRow {
  std::int64_t sweep = 0;
  std::string stage;
  std::string state, cause, device;
  std::string stored;  // the state that the table has
  std::int64_t generation = 1, attempt = 0, attempts = 0, epoch = 0, step = 0, pinned = 0, changed = 0;
  std::optional<double> objective;
  std::optional<std::int64_t> worker, started, ended, source;
  std::optional<std::string> stats;  // none: it never had a result
  std::int64_t result_generation = 0, result_attempt = 0, result_seq = 0, result_rows = 0;
  std::string sha256;
  std::string history;  // job_history.hpp
};

// Of a job that others take the result of.
struct JobEnd {
  std::int64_t attempt = 0;  // that made the result
  std::optional<double> objective;
  std::int64_t epoch = 0, step = 0;
};

class JobRows {
 public:
  // `database` outlives it.
  explicit JobRows(Database& database) : database_(database) {}

  // The row, to be changed; valid until flush() or clear(). nullptr: there is no such job.
  Result<JobRow*> job(std::int64_t number);
  // What the job ended with, to be read only: a row that is asked for above is written again. nullopt: no such job.
  Result<std::optional<JobEnd>> end_of(std::int64_t number);
  // The sweep's row changed at this event.
  void touch(std::int64_t sweep, std::int64_t seq) { touched_[sweep].seq = seq; }
  // One more of its jobs took a known result at this event.
  void reused(std::int64_t sweep, std::int64_t seq) {
    Touched& change = touched_[sweep];
    change = {seq, change.reused + 1};
  }

  // Writes everything and forgets it: before statements that look at these tables, and at the end of a transaction.
  Status flush();
  // After a rollback.
  void clear();

 private:
  // Of a sweep's row: the last event about it, and how many of its jobs took a known result since the last flush().
  struct Touched {
    std::int64_t seq = 0, reused = 0;
  };

  Status read_ahead(std::int64_t number);
  Status write_job(std::int64_t number, JobRow& row);
  void count(const JobRow& job, const std::string& state, std::int64_t change);
  Status write_counts();

  Database& database_;
  std::unordered_map<std::int64_t, JobRow> jobs_;
  std::unordered_map<std::int64_t, JobRow> ahead_;  // as their submit made them; not asked for yet
  std::int64_t last_fresh_ = 0;                     // asked for, of those that only their submit made
  std::map<std::tuple<std::int64_t, std::string, std::string>, std::int64_t> counts_;
  std::map<std::int64_t, Touched> touched_;
};

}  // namespace fathom::store
