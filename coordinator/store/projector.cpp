#include "coordinator/store/projector.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "coordinator/core/event.pb.h"
#include "coordinator/core/transitions.hpp"
#include "coordinator/store/job_history.hpp"

namespace fathom::store {
namespace {

using E = event::Event;
using I = std::int64_t;

I sql(std::uint64_t value) { return static_cast<I>(value); }

std::string state_of(const event::Event& event) { return core::name_of(static_cast<core::Phase>(event.phase())); }

bool is_terminal(const event::Event& event) {
  return event.phase() != event::UNKNOWN && core::is_terminal(static_cast<core::Phase>(event.phase()));
}

}  // namespace

Projector::Projector(Database& database, PlanOf plans)
    : database_(database), plans_(std::move(plans)), rows_(database) {}

std::string Projector::one_text(const char* text, I key) {
  auto statement = database_.cached(text);
  if (!statement) return {};
  const auto row = (*statement)->bind(1, key).step();
  std::string value = row && *row ? (*statement)->text(0) : std::string{};
  (*statement)->reset();
  return value;
}

Status Projector::apply(const event::Event& event, Changes& changes) {
  changes.seq = event.seq();
  if (event.job() != 0) return apply_job(event, changes);
  // Those of sweeps look at many rows.
  FATHOM_TRY(rows_.flush());
  switch (event.payload_case()) {
    case E::kSweepSubmitted:
    case E::kSweepCancelRequested:
    case E::kSweepChanged:
    case E::kJobsReopened:
    case E::kSweepEnded:
      return apply_sweep(event, changes);
    case E::kWorkerJoined:
    case E::kWorkerDraining:
    case E::kWorkerGone:
    case E::kWorkerFit:
      return apply_worker(event, changes);
    default:
      return success();
  }
}

Result<const std::string*> Projector::sweep_id(I sweep) {
  std::string& id = sweep_ids_[sweep];
  if (id.empty()) id = one_text("SELECT id FROM sweeps WHERE number = ?", sweep);
  if (!id.empty()) return &id;
  return Error{Errc::internal, fmt::format("an event speaks of sweep {}, which no event made", sweep)};
}

Status Projector::apply_sweep(const event::Event& event, Changes& changes) {
  I sweep = 0;
  if (event.has_sweep_submitted()) {
    sweep = event.sweep_submitted().sweep();
    FATHOM_TRY(submit(event));
    changes.submitted += event.sweep_submitted().jobs();
  } else if (event.has_sweep_cancel_requested()) {
    sweep = event.sweep_cancel_requested().sweep();
    FATHOM_TRY(cancel_sweep(event));
  } else if (event.has_sweep_changed()) {
    sweep = event.sweep_changed().sweep();
    FATHOM_TRY(change_sweep(event));
  } else if (event.has_jobs_reopened()) {
    sweep = event.jobs_reopened().sweep();
    FATHOM_TRY(reopen(event));
  } else {
    sweep = event.sweep_ended().sweep();
    FATHOM_TRY(run("UPDATE sweeps SET state = ?, ended = ?, changed = ? WHERE number = ?",
                   event.sweep_ended().outcome(), I{event.wall_ms()}, sql(event.seq()), sweep));
  }
  FATHOM_ASSIGN(const std::string* id, sweep_id(sweep));
  changes.sweeps.push_back(*id);
  return success();
}

// One event moves every job of the sweep, by the same rule as the core; the counters are made anew.
Status Projector::cancel_sweep(const event::Event& event) {
  const auto& e = event.sweep_cancel_requested();
  const I sweep = e.sweep();
  const I seq = sql(event.seq());
  FATHOM_TRY(
      run("UPDATE jobs SET state = 'cancelled', cause = ?1, ended = ?2, changed = ?3, history = history || 'o' || ?3 "
          "WHERE number >= (SELECT first_job FROM sweeps WHERE number = ?4) AND number < (SELECT first_job + jobs "
          "FROM sweeps WHERE number = ?4) AND state IN ('blocked', 'ready', 'backoff', 'paused')",
          e.cause(), I{event.wall_ms()}, seq, sweep));
  if (!e.finish()) {
    // This repeats the condition of the partial index jobs_rare, so that SQLite uses it.
    FATHOM_TRY(
        run("UPDATE jobs SET state = 'stopping', cause = ?1, changed = ?2, history = history || 'o' || ?2 "
            "WHERE sweep = ?3 AND state <> 'blocked' AND state <> 'ready' AND state <> 'succeeded' AND state IN "
            "('leased', 'running', 'stopping')",
            e.cause(), seq, sweep));
  }
  FATHOM_TRY(count_again(sweep));
  return run("UPDATE sweeps SET cause = ?, changed = ? WHERE number = ?", e.cause(), seq, sweep);
}

Status Projector::apply_worker(const event::Event& event, Changes& changes) {
  changes.workers = true;
  const I seq = sql(event.seq());
  if (!event.has_worker_joined()) {
    if (event.has_worker_fit()) {
      return run("UPDATE workers SET state = 'ready', changed = ? WHERE number = ?", seq,
                 I{event.worker_fit().worker()});
    }
    const bool draining = event.has_worker_draining();
    const I worker = draining ? event.worker_draining().worker() : event.worker_gone().worker();
    return run("UPDATE workers SET state = ?, changed = ? WHERE number = ?",
               std::string_view(draining ? "draining" : "gone"), seq, worker);
  }
  const auto& e = event.worker_joined();
  nlohmann::json devices = nlohmann::json::array();
  for (const auto& device : e.devices()) {
    devices.push_back({{"name", device.name()},
                       {"kind", device.kind()},
                       {"slots", device.slots()},
                       {"threads", device.threads()},
                       {"model", device.model()},
                       {"memory", device.memory()},
                       {"bf16", device.bf16()}});
  }
  return run(
      "INSERT OR REPLACE INTO workers(number, uid, name, state, devices, joined, changed) "
      "VALUES(?, ?, ?, 'ready', ?, ?, ?)",
      I{e.worker()}, e.uid(), e.name(), devices.dump(), I{event.wall_ms()}, seq);
}

Status Projector::apply_job(const event::Event& event, Changes& changes) {
  FATHOM_ASSIGN(JobRow * job, rows_.job(sql(event.job())));
  if (job == nullptr) {
    return Error{Errc::internal,
                 fmt::format("event {} speaks of job {}, which no event made", event.seq(), event.job())};
  }
  FATHOM_TRY(move_job(event, *job, changes));
  if (event.has_point_drawn()) FATHOM_TRY(drawn(event, changes));
  if (event.has_set_chosen()) FATHOM_TRY(set_chosen(event));
  if (event.has_exploited()) FATHOM_TRY(exploited(event));
  switch (event.payload_case()) {
    case E::kLeaseGranted:
    case E::kLeaseExpired:
    case E::kLeaseReleased:
      apply_lease(event, *job);
      break;
    case E::kJobFinished:
    case E::kJobFailed:
    case E::kJobBackedOff:
    case E::kJobStopped:
    case E::kJobSkipped:
    case E::kJobReused:
      FATHOM_TRY(apply_end(event, *job));
      break;
    default:
      FATHOM_TRY(apply_progress(event, *job));
      break;
  }
  add_to_history(job->history, {step_of(event), event.seq()});
  return success();
}

Status Projector::move_job(const event::Event& event, JobRow& job, Changes& changes) {
  if (changes.jobs.empty() || changes.jobs.back().value() != event.job()) changes.jobs.emplace_back(event.job());
  job.changed = sql(event.seq());
  const std::string after = event.phase() == event::UNKNOWN ? job.state : state_of(event);
  if (after == job.state) return success();
  job.state = after;
  rows_.touch(job.sweep, sql(event.seq()));
  if (is_terminal(event)) job.ended = event.wall_ms();
  FATHOM_ASSIGN(const std::string* id, sweep_id(job.sweep));
  // A batch is mostly of one sweep.
  if (std::ranges::find(changes.sweeps, *id) == changes.sweeps.end()) changes.sweeps.push_back(*id);
  return success();
}

void Projector::apply_lease(const event::Event& event, JobRow& job) {
  if (event.has_lease_granted()) {
    const auto& e = event.lease_granted();
    job.generation = e.fence().generation();
    job.attempt = e.fence().attempt();
    ++job.attempts;
    job.worker = e.worker();
    job.device = e.device();
    job.cause.clear();
  } else if (event.phase() == event::BACKOFF) {
    job.cause =
        event.has_lease_expired() ? "its worker was not heard of in time" : std::string(event.lease_released().why());
  }
}

Status Projector::apply_progress(const event::Event& event, JobRow& job) {
  const I number = sql(event.job());
  switch (event.payload_case()) {
    case E::kJobStarted:
      if (!job.started) job.started = event.wall_ms();
      job.epoch = event.job_started().resumed_epoch();
      return success();
    case E::kReportRecorded: {
      const auto& e = event.report_recorded();
      job.epoch = e.epoch();
      job.step = sql(e.step());
      job.objective = e.objective();
      return success();
    }
    case E::kStopWished:
      job.cause = event.stop_wished().text();
      return success();
    case E::kResultPinned:
      job.pinned = event.result_pinned().pinned() ? 1 : 0;
      return success();
    case E::kJobCancelRequested:
      job.cause = event.job_cancel_requested().cause();
      return success();
    case E::kPauseWished:
      job.cause = event.pause_wished().text();
      return success();
    case E::kJobResumed:
      job.cause.clear();
      return success();
    case E::kNeedsResolved: {
      nlohmann::json chosen = nlohmann::json::array();
      for (const auto& input : event.needs_resolved().inputs())
        chosen.push_back({{"job", input.job()}, {"mean", input.mean()}});
      FATHOM_TRY(run("UPDATE job_settings SET chosen = ? WHERE number = ?", chosen.dump(), number));
      return take_parameters(event);
    }
    case E::kNeedsBound: {
      nlohmann::json chosen = nlohmann::json::array();
      for (const auto& input : event.needs_bound().inputs())
        chosen.push_back({{"job", input.job()}, {"mean", input.mean()}});
      return run("UPDATE job_settings SET chosen = ? WHERE number = ?", chosen.dump(), number);
    }
    default:
      return success();
  }
}

Status Projector::apply_end(const event::Event& event, JobRow& job) {
  switch (event.payload_case()) {
    case E::kJobSkipped:
      job.cause = event.job_skipped().why();
      return success();
    case E::kJobFinished:
      finished(event, job);
      return success();
    case E::kJobReused:
      return reused(event, job);
    case E::kJobStopped:
      stopped(event, job);
      return success();
    case E::kJobFailed: {
      const auto& e = event.job_failed();
      job.cause = fmt::format("{}: {}", e.error_class(), e.message());
      return success();
    }
    default: {
      const auto& e = event.job_backed_off();
      job.cause = fmt::format("{}: {}", e.error_class(), e.message());
      return success();
    }
  }
}

}  // namespace fathom::store
