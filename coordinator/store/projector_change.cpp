// SweepChanged: how a sweep runs. JobsReopened: jobs of it that begin again.
#include "coordinator/core/event.pb.h"
#include "coordinator/store/projector.hpp"

namespace fathom::store {

Status Projector::change_sweep(const event::Event& event) {
  using I = std::int64_t;
  const auto& e = event.sweep_changed();
  const I sweep = e.sweep();
  const auto limit = [&](const char* key, I value) {
    return run("UPDATE sweeps SET limits = json_set(limits, ?, ?) WHERE number = ?", std::string_view(key), value,
               sweep);
  };
  if (e.has_paused())
    FATHOM_TRY(run("UPDATE sweeps SET state = ? WHERE number = ?", std::string_view(e.paused() ? "paused" : "running"),
                   sweep));
  if (e.has_priority()) FATHOM_TRY(run("UPDATE sweeps SET priority = ? WHERE number = ?", I{e.priority()}, sweep));
  if (e.has_weight()) FATHOM_TRY(run("UPDATE sweeps SET weight = ? WHERE number = ?", I{e.weight()}, sweep));
  if (e.has_concurrency()) FATHOM_TRY(limit("$.concurrency", I{e.concurrency()}));
  if (e.has_wall_seconds()) FATHOM_TRY(limit("$.wall", I{e.wall_seconds()}));
  if (e.has_job_wall_seconds()) FATHOM_TRY(limit("$.job_wall", I{e.job_wall_seconds()}));
  if (e.has_failed()) FATHOM_TRY(limit("$.failed", I{e.failed()}));
  return run("UPDATE sweeps SET changed = ? WHERE number = ?", static_cast<I>(event.seq()), sweep);
}

// One event moves many jobs, by the same rule as the core: ready where the inputs were chosen or there are none.
Status Projector::reopen(const event::Event& event) {
  using I = std::int64_t;
  const auto& e = event.jobs_reopened();
  const auto seq = static_cast<I>(event.seq());
  for (const std::uint64_t number : e.jobs()) {
    const auto job = static_cast<I>(number);
    FATHOM_TRY(
        run("UPDATE jobs SET state = coalesce((SELECT CASE WHEN needs = '[]' OR chosen IS NOT NULL THEN 'ready' ELSE "
            "'blocked' END FROM job_settings s WHERE s.number = jobs.number), 'ready'), generation = generation + 1, "
            "attempt = 0, "
            "cause = '', started = NULL, ended = NULL, worker = NULL, device = '', changed = ?1, "
            "history = history || 'o' || ?1 WHERE number = ?2",
            seq, job));
  }
  FATHOM_TRY(count_again(e.sweep()));
  // One that has not ended may be paused, and stays so.
  FATHOM_TRY(run("UPDATE sweeps SET state = 'running' WHERE number = ? AND ended IS NOT NULL", I{e.sweep()}));
  return run("UPDATE sweeps SET ended = NULL, cause = '', changed = ? WHERE number = ?", seq, I{e.sweep()});
}

// After an event that moved many jobs at once.
Status Projector::count_again(std::int64_t sweep) {
  FATHOM_TRY(run("DELETE FROM counts WHERE sweep = ?", sweep));
  return run(
      "INSERT INTO counts SELECT sweep, stage, state, count(*) FROM jobs WHERE number >= "
      "(SELECT first_job FROM sweeps WHERE number = ?1) AND number < (SELECT first_job + jobs FROM sweeps "
      "WHERE number = ?1) GROUP BY stage, state",
      sweep);
}

}  // namespace fathom::store
