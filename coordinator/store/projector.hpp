// Turns events into the rows of read_schema.hpp, one at a time, inside a transaction of its caller. Decides nothing:
// the state of a job after an event stands in the event.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/result.hpp"
#include "coordinator/store/event_text.hpp"
#include "coordinator/store/read_model.hpp"
#include "coordinator/store/sqlite.hpp"

namespace fathom::store {

// Thread: the read model's. `database` outlives it.
class Projector {
 public:
  explicit Projector(Database& database);

  // Applies one event and adds what it changed. internal: it speaks of a job or sweep that no event made. After an
  // error the caller rolls back.
  Status apply(const event::Event& event, Changes& changes);

 private:
  Status apply_sweep(const event::Event& event, Changes& changes);
  Status apply_worker(const event::Event& event, Changes& changes);
  Status apply_job(const event::Event& event, Changes& changes);
  Status apply_lease(const event::Event& event);
  Status apply_progress(const event::Event& event);
  Status apply_end(const event::Event& event);

  Status submit(const event::Event& event);  // projector_submit.cpp
  Status cancel_sweep(const event::Event& event);
  Status change_sweep(const event::Event& event);  // projector_change.cpp
  Status reopen(const event::Event& event);
  Status count_again(std::int64_t sweep);
  Status granted(const event::Event& event);
  Status started(const event::Event& event);
  Status finished(const event::Event& event);
  Status stopped(const event::Event& event);
  Status reused(const event::Event& event);
  Status store_result(std::int64_t job, std::int64_t generation, std::int64_t attempt, const std::string& result,
                      const std::string& files, const std::string& weights);
  Status end_attempt(const event::Event& event, const char* outcome, const std::string& text);
  Status set_cause(std::int64_t job, const std::string& cause);
  Status move_job(const event::Event& event, Changes& changes);
  Status remember(const event::Event& event);
  Result<std::string> sweep_id(std::int64_t sweep);
  std::string one_text(const char* sql, std::int64_t key);

  // Runs a statement with these parameters; `sql` must be a literal.
  template <class... Values>
  Status run(const char* sql, const Values&... values) {
    FATHOM_ASSIGN(Statement * statement, database_.cached(sql));
    return statement->bind_all(values...).run();
  }

  Database& database_;
  EventNames names_;
};

}  // namespace fathom::store
