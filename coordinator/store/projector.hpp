// Turns events into the rows of read_schema.hpp, one at a time, inside a transaction of its caller. Decides nothing:
// the state of a job after an event stands in the event. What changes with every event of a job is kept in memory until
// finish() (JobRows).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "common/result.hpp"
#include "coordinator/store/job_rows.hpp"
#include "coordinator/store/read_model.hpp"
#include "coordinator/store/sqlite.hpp"

namespace fathom::event {
class Event;
}

namespace fathom::store {

// The plan that this resolved text makes. corrupt: it is no JSON, or of another version.
Result<std::shared_ptr<const sweeps::Plan>> expand_text(const std::string& sweep, const std::string& resolved);

// Puts the "result" and the "files" that this event says into a job object.
void show_result(const event::Event& event, nlohmann::json& job);

// Thread: the read model's. `database` outlives it.
class Projector {
 public:
  Projector(Database& database, PlanOf plans);

  // Applies one event and adds what it changed. internal: it speaks of a job or sweep that no event made. After an
  // error the caller rolls back and calls reset().
  Status apply(const event::Event& event, Changes& changes);
  // Writes what is still in memory; before the commit.
  Status finish() { return rows_.flush(); }
  void reset() { rows_.clear(); }

 private:
  Status apply_sweep(const event::Event& event, Changes& changes);
  Status apply_worker(const event::Event& event, Changes& changes);
  Status apply_job(const event::Event& event, Changes& changes);
  static void apply_lease(const event::Event& event, JobRow& job);
  Status apply_progress(const event::Event& event, JobRow& job);
  Status apply_end(const event::Event& event, JobRow& job);

  // projector_submit.cpp
  Status submit(const event::Event& event);
  [[nodiscard]] Result<std::shared_ptr<const sweeps::Plan>> plan_of(const event::Event& event) const;
  Status cancel_sweep(const event::Event& event);
  Status change_sweep(const event::Event& event);  // projector_change.cpp
  // projector_search.cpp: parameters that were drawn, sets that were chosen, and those of jobs that measure what has
  // them.
  Status drawn(const event::Event& event, Changes& changes);
  Status set_chosen(const event::Event& event);
  Status exploited(const event::Event& event);
  Status take_parameters(const event::Event& event);
  Status reopen(const event::Event& event);
  Status count_again(std::int64_t sweep);
  static void finished(const event::Event& event, JobRow& job);
  static void stopped(const event::Event& event, JobRow& job);
  Status reused(const event::Event& event, JobRow& job);
  struct Origin {
    std::int64_t generation = 0, attempt = 0;
  };
  static void store_result(const event::Event& event, JobRow& job, Origin origin, const std::string& result,
                           std::string weights);
  Status move_job(const event::Event& event, JobRow& job, Changes& changes);
  Result<const std::string*> sweep_id(std::int64_t sweep);
  std::string one_text(const char* sql, std::int64_t key);

  // As Database::run().
  template <class... Values>
  Status run(const char* sql, const Values&... values) {
    return database_.run(sql, values...);
  }

  Database& database_;
  const PlanOf plans_;
  JobRows rows_;
  std::map<std::int64_t, std::string> sweep_ids_;  // they never change
};

}  // namespace fathom::store
