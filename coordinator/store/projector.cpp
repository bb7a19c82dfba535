#include "coordinator/store/projector.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "coordinator/core/event.pb.h"
#include "coordinator/core/transitions.hpp"

namespace fathom::store {
namespace {

using E = event::Event;
using I = std::int64_t;

I sql(std::uint64_t value) { return static_cast<I>(value); }

std::string state_of(const event::Event& event) { return core::name_of(static_cast<core::Phase>(event.phase())); }

bool is_terminal(const event::Event& event) {
  return event.phase() != event::UNKNOWN && core::is_terminal(static_cast<core::Phase>(event.phase()));
}

template <class Files>
std::string files_json(const Files& files) {
  nlohmann::json all = nlohmann::json::array();
  for (const auto& file : files)
    all.push_back({{"path", file.path()}, {"sha256", file.sha256()}, {"size", file.size()}});
  return all.dump();
}

// The one file that stands for a result in the tables: the adapter's weights, or a fusion's (its folder is named by all
// members, with commas).
template <class Files>
std::string weights_of(const Files& files) {
  std::string fusion;
  for (const auto& file : files) {
    if (file.path() == "adapter.safetensors") return file.sha256();
    const bool weights = file.path().ends_with(".safetensors") && file.path().find(',') != std::string::npos;
    if (weights && fusion.empty()) fusion = file.sha256();
  }
  return fusion;
}

// What a list shows of a result: its plain numbers and hashes.
std::string stats_of(const nlohmann::json& result) {
  nlohmann::json stats = nlohmann::json::object();
  for (const auto& [key, value] : result.items()) {
    if (value.is_number() || value.is_string()) stats[key] = value;
  }
  return stats.dump();
}

}  // namespace

Projector::Projector(Database& database) : database_(database) {
  names_.worker = [this](std::uint32_t number) {
    const std::string name = one_text("SELECT name FROM workers WHERE number = ?", number);
    return name.empty() ? fmt::format("worker {}", number) : name;
  };
  names_.job = [this](std::uint64_t number) { return one_text("SELECT id FROM jobs WHERE number = ?", sql(number)); };
}

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

Result<std::string> Projector::sweep_id(I sweep) {
  std::string id = one_text("SELECT id FROM sweeps WHERE number = ?", sweep);
  if (!id.empty()) return id;
  return Error{Errc::internal, fmt::format("an event speaks of sweep {}, which no event made", sweep)};
}

Status Projector::apply_sweep(const event::Event& event, Changes& changes) {
  I sweep = 0;
  if (event.has_sweep_submitted()) {
    sweep = event.sweep_submitted().sweep();
    FATHOM_TRY(submit(event));
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
  FATHOM_ASSIGN(std::string id, sweep_id(sweep));
  changes.sweeps.push_back(std::move(id));
  return success();
}

// One event moves every job of the sweep, by the same rule as the core; the counters are made anew.
Status Projector::cancel_sweep(const event::Event& event) {
  const auto& e = event.sweep_cancel_requested();
  const I sweep = e.sweep();
  const I seq = sql(event.seq());
  FATHOM_TRY(
      run("UPDATE jobs SET state = 'cancelled', cause = ?, ended = ?, changed = ? WHERE sweep = ? AND state IN "
          "('blocked', 'ready', 'backoff', 'paused')",
          e.cause(), I{event.wall_ms()}, seq, sweep));
  FATHOM_TRY(
      run("UPDATE jobs SET state = 'stopping', cause = ?, changed = ? WHERE sweep = ? AND state IN "
          "('leased', 'running', 'stopping')",
          e.cause(), seq, sweep));
  FATHOM_TRY(
      run("INSERT INTO job_events SELECT number, ?1, ?2, 'sweep_cancel_requested', ?3 FROM jobs "
          "WHERE sweep = ?4 AND changed = ?1",
          seq, I{event.wall_ms()}, e.cause(), sweep));
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
                       {"memory", device.memory()}});
  }
  return run(
      "INSERT OR REPLACE INTO workers(number, uid, name, state, devices, joined, changed) "
      "VALUES(?, ?, ?, 'ready', ?, ?, ?)",
      I{e.worker()}, e.uid(), e.name(), devices.dump(), I{event.wall_ms()}, seq);
}

Status Projector::apply_job(const event::Event& event, Changes& changes) {
  FATHOM_TRY(move_job(event, changes));
  switch (event.payload_case()) {
    case E::kLeaseGranted:
    case E::kLeaseExpired:
    case E::kLeaseReleased:
      FATHOM_TRY(apply_lease(event));
      break;
    case E::kJobFinished:
    case E::kJobFailed:
    case E::kJobBackedOff:
    case E::kJobStopped:
    case E::kJobSkipped:
    case E::kJobReused:
      FATHOM_TRY(apply_end(event));
      break;
    default:
      FATHOM_TRY(apply_progress(event));
      break;
  }
  return remember(event);
}

Status Projector::move_job(const event::Event& event, Changes& changes) {
  FATHOM_ASSIGN(Statement * select, database_.cached("SELECT sweep, stage, state FROM jobs WHERE number = ?"));
  FATHOM_ASSIGN(const bool known, select->bind(1, sql(event.job())).step());
  if (!known)
    return Error{Errc::internal,
                 fmt::format("event {} speaks of job {}, which no event made", event.seq(), event.job())};
  const I sweep = select->integer(0);
  const std::string stage = select->text(1);
  const std::string before = select->text(2);
  select->reset();
  changes.jobs.push_back(JobNumber(event.job()));
  FATHOM_TRY(run("UPDATE jobs SET changed = ? WHERE number = ?", sql(event.seq()), sql(event.job())));
  const std::string after = event.phase() == event::UNKNOWN ? before : state_of(event);
  if (after == before) return success();
  FATHOM_TRY(run("UPDATE jobs SET state = ? WHERE number = ?", after, sql(event.job())));
  FATHOM_TRY(run("UPDATE counts SET n = n - 1 WHERE sweep = ? AND stage = ? AND state = ?", sweep, stage, before));
  FATHOM_TRY(run("INSERT INTO counts VALUES(?, ?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1", sweep, stage, after));
  FATHOM_TRY(run("UPDATE sweeps SET changed = ? WHERE number = ?", sql(event.seq()), sweep));
  if (is_terminal(event))
    FATHOM_TRY(run("UPDATE jobs SET ended = ? WHERE number = ?", I{event.wall_ms()}, sql(event.job())));
  FATHOM_ASSIGN(std::string id, sweep_id(sweep));
  // A batch is mostly of one sweep: looking at the last one is enough to keep the list short.
  if (std::find(changes.sweeps.begin(), changes.sweeps.end(), id) == changes.sweeps.end()) changes.sweeps.push_back(id);
  return success();
}

Status Projector::apply_lease(const event::Event& event) {
  if (event.has_lease_granted()) return granted(event);
  const bool expired = event.has_lease_expired();
  const std::string why = expired ? "its worker was not heard of in time" : event.lease_released().why();
  if (event.phase() == event::BACKOFF) FATHOM_TRY(set_cause(sql(event.job()), why));
  return end_attempt(event, expired ? "expired" : "released", why);
}

Status Projector::granted(const event::Event& event) {
  const auto& e = event.lease_granted();
  const I job = sql(event.job());
  FATHOM_TRY(
      run("UPDATE jobs SET generation = ?, attempt = ?, attempts = attempts + 1, worker = ?, device = ?, cause = '' "
          "WHERE number = ?",
          I{e.fence().generation()}, I{e.fence().attempt()}, I{e.worker()}, e.device(), job));
  return run(
      "INSERT OR REPLACE INTO attempts(job, generation, attempt, worker, device, granted, outcome, text) "
      "VALUES(?, ?, ?, ?, ?, ?, 'leased', '')",
      job, I{e.fence().generation()}, I{e.fence().attempt()}, I{e.worker()}, e.device(), I{event.wall_ms()});
}

Status Projector::apply_progress(const event::Event& event) {
  const I job = sql(event.job());
  switch (event.payload_case()) {
    case E::kJobStarted:
      return started(event);
    case E::kReportRecorded: {
      const auto& e = event.report_recorded();
      FATHOM_TRY(run("UPDATE jobs SET epoch = ?, step = ?, objective = ? WHERE number = ?", I{e.epoch()}, sql(e.step()),
                     e.objective(), job));
      return run("UPDATE attempts SET epoch = ? WHERE job = ? AND generation = ? AND attempt = ?", I{e.epoch()}, job,
                 I{e.fence().generation()}, I{e.fence().attempt()});
    }
    case E::kStopWished:
      return set_cause(job, event.stop_wished().text());
    case E::kResultPinned:
      return run("UPDATE jobs SET pinned = ? WHERE number = ?", I{event.result_pinned().pinned() ? 1 : 0}, job);
    case E::kJobCancelRequested:
      return set_cause(job, event.job_cancel_requested().cause());
    case E::kPauseWished:
      return set_cause(job, event.pause_wished().text());
    case E::kJobResumed:
      return set_cause(job, "");
    case E::kNeedsResolved: {
      nlohmann::json chosen = nlohmann::json::array();
      for (const auto& input : event.needs_resolved().inputs())
        chosen.push_back({{"job", input.job()}, {"mean", input.mean()}});
      return run("UPDATE job_settings SET chosen = ? WHERE number = ?", chosen.dump(), job);
    }
    default:
      return success();
  }
}

Status Projector::started(const event::Event& event) {
  const auto& e = event.job_started();
  const I job = sql(event.job());
  FATHOM_TRY(run("UPDATE jobs SET started = coalesce(started, ?), epoch = ? WHERE number = ?", I{event.wall_ms()},
                 I{e.resumed_epoch()}, job));
  return run(
      "UPDATE attempts SET started = ?, outcome = 'running', resumed_epoch = ?, data_sha256 = ?, base_sha256 = ? "
      "WHERE job = ? AND generation = ? AND attempt = ?",
      I{event.wall_ms()}, I{e.resumed_epoch()}, e.data_sha256(), e.base_sha256(), job, I{e.fence().generation()},
      I{e.fence().attempt()});
}

Status Projector::apply_end(const event::Event& event) {
  const I job = sql(event.job());
  switch (event.payload_case()) {
    case E::kJobSkipped:
      return set_cause(job, event.job_skipped().why());
    case E::kJobFinished:
      return finished(event);
    case E::kJobReused:
      return reused(event);
    case E::kJobStopped:
      return stopped(event);
    case E::kJobFailed: {
      const auto& e = event.job_failed();
      FATHOM_TRY(set_cause(job, fmt::format("{}: {}", e.error_class(), e.message())));
      return end_attempt(event, "failed", fmt::format("{}: {}", e.error_class(), e.message()));
    }
    default: {
      const auto& e = event.job_backed_off();
      FATHOM_TRY(set_cause(job, fmt::format("{}: {}", e.error_class(), e.message())));
      return end_attempt(event, "failed", fmt::format("{}: {}", e.error_class(), e.message()));
    }
  }
}

Status Projector::finished(const event::Event& event) {
  const auto& e = event.job_finished();
  FATHOM_TRY(store_result(sql(event.job()), I{e.fence().generation()}, I{e.fence().attempt()}, e.result(),
                          files_json(e.files()), weights_of(e.files())));
  if (e.has_objective())
    FATHOM_TRY(run("UPDATE jobs SET objective = ? WHERE number = ?", e.objective(), sql(event.job())));
  FATHOM_TRY(set_cause(sql(event.job()), ""));
  return end_attempt(event, "succeeded", "");
}

// The result is kept whole with the job that took it: what it came from is in `source` (never a job that took one).
Status Projector::reused(const event::Event& event) {
  const auto& e = event.job_reused();
  const I job = sql(event.job());
  const I source = sql(e.source());
  FATHOM_ASSIGN(Statement * select, database_.cached("SELECT attempt FROM job_results WHERE number = ?"));
  FATHOM_ASSIGN(const bool known, select->bind(1, source).step());
  const I attempt = known ? select->integer(0) : 0;
  select->reset();
  FATHOM_TRY(
      store_result(job, I{e.source_generation()}, attempt, e.result(), files_json(e.files()), weights_of(e.files())));
  FATHOM_TRY(
      run("UPDATE jobs SET source = ?1, objective = s.objective, epoch = s.epoch, step = s.step, cause = '' "
          "FROM (SELECT objective, epoch, step FROM jobs WHERE number = ?1) s WHERE number = ?2",
          source, job));
  return run("UPDATE sweeps SET reused = reused + 1 WHERE number = (SELECT sweep FROM jobs WHERE number = ?)", job);
}

Status Projector::stopped(const event::Event& event) {
  const auto& e = event.job_stopped();
  FATHOM_TRY(
      run("UPDATE jobs SET epoch = ?, step = ? WHERE number = ?", I{e.epoch()}, sql(e.step()), sql(event.job())));
  if (!e.result().empty())
    FATHOM_TRY(store_result(sql(event.job()), I{e.fence().generation()}, I{e.fence().attempt()}, e.result(),
                            files_json(e.files()), weights_of(e.files())));
  if (e.has_objective())
    FATHOM_TRY(run("UPDATE jobs SET objective = ? WHERE number = ?", e.objective(), sql(event.job())));
  return end_attempt(event, "stopped", "");
}

// A new result of a job (another generation) replaces the old one whole.
Status Projector::store_result(I job, I generation, I attempt, const std::string& text, const std::string& files,
                               const std::string& weights) {
  const auto result = nlohmann::json::parse(text, nullptr, false);
  FATHOM_TRY(run("INSERT OR REPLACE INTO job_results VALUES(?, ?, ?, ?, ?, ?)", job, generation, attempt,
                 result.is_discarded() ? std::string("{}") : text, files, weights));
  FATHOM_TRY(run("DELETE FROM result_rows WHERE job = ?", job));
  if (!result.is_object()) return success();
  FATHOM_TRY(run("UPDATE jobs SET stats = ? WHERE number = ?", stats_of(result), job));
  I place = 0;
  try {
    for (const auto& row : result.value("rows", nlohmann::json::array())) {
      const auto value = row.contains("value") && row["value"].is_number() ? row["value"].get<double>() : std::nan("");
      FATHOM_TRY(run("INSERT INTO result_rows VALUES(?, ?, ?, ?, ?, ?, ?, ?)", job, place++, row.value("epoch", I{0}),
                     row.value("depth", I{0}), row.value("split", std::string{}), row.value("metric", std::string{}),
                     value, I{row.value("primary", false) ? 1 : 0}));
    }
  } catch (const nlohmann::json::exception&) {
    // A row of another shape comes from a worker of another version; the result itself is kept as it came.
  }
  return success();
}

Status Projector::end_attempt(const event::Event& event, const char* outcome, const std::string& text) {
  return run("UPDATE attempts SET ended = ?, outcome = ?, text = ? WHERE job = ? AND ended IS NULL", I{event.wall_ms()},
             std::string_view(outcome), text, sql(event.job()));
}

Status Projector::set_cause(I job, const std::string& cause) {
  return run("UPDATE jobs SET cause = ? WHERE number = ?", cause, job);
}

Status Projector::remember(const event::Event& event) {
  return run("INSERT OR REPLACE INTO job_events VALUES(?, ?, ?, ?, ?)", sql(event.job()), sql(event.seq()),
             I{event.wall_ms()}, type_of(event), text_of(event, names_));
}

}  // namespace fathom::store
