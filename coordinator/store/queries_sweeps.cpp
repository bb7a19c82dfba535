#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "coordinator/core/event.pb.h"
#include "coordinator/store/queries.hpp"

namespace fathom::store::queries {
namespace {

constexpr const char* kSelectSweep =
    "SELECT number, id, name, state, created, ended, jobs, stages, tasks, priority, cause, file, notes, goal, limits, "
    "weight, reused FROM sweeps";

using Counts = std::map<std::string, nlohmann::json>;  // by stage; "" = of the whole sweep

Result<Counts> counts_of(Database& database, std::int64_t sweep) {
  FATHOM_ASSIGN(Statement * select, database.cached("SELECT stage, state, n FROM counts WHERE sweep = ? AND n > 0"));
  select->bind(1, sweep);
  Counts counts;
  counts[""] = nlohmann::json::object();
  while (true) {
    FATHOM_ASSIGN(const bool row, select->step());
    if (!row) return counts;
    const std::string state = select->text(1);
    const std::int64_t n = select->integer(2);
    counts[select->text(0)][state] = n;
    counts[""][state] = counts[""].value(state, std::int64_t{0}) + n;
  }
}

Result<nlohmann::json> sweep_object(Database& database, const Statement& row) {
  FATHOM_ASSIGN(Counts counts, counts_of(database, row.integer(0)));
  nlohmann::json stages = parse_or(row.text(7), "[]");
  for (auto& stage : stages) {
    const auto found = counts.find(stage.value("name", std::string{}));
    stage["counts"] = found == counts.end() ? nlohmann::json::object() : found->second;
  }
  return nlohmann::json{{"id", row.text(1)},
                        {"name", row.text(2)},
                        {"state", row.text(3)},
                        {"cause", row.text(10)},
                        {"created", row.integer(4)},
                        {"ended", row.is_null(5) ? nlohmann::json() : nlohmann::json(row.integer(5))},
                        {"jobs", row.integer(6)},
                        {"counts", counts[""]},
                        {"stages", std::move(stages)},
                        {"tasks", parse_or(row.text(8), "[]")},
                        {"priority", row.integer(9)},
                        {"file", row.text(11)},
                        {"goal", row.text(13)},
                        {"notes", parse_or(row.text(12), "[]")},
                        {"limits", parse_or(row.text(14), "{}")},
                        {"weight", row.integer(15)},
                        {"reused", row.integer(16)}};
}

// Epochs that stopped jobs were spared, and those that all jobs of the stages that stop some were asked for; null where
// nothing was stopped. Of one sweep, not of a list: it reads the rows of those stages.
Result<nlohmann::json> savings(Database& database, std::int64_t sweep) {
  FATHOM_ASSIGN(
      Statement select,
      database.prepare("SELECT sum(CASE WHEN state = 'stopped' THEN epochs - epoch ELSE 0 END), sum(epochs) "
                       "FROM jobs WHERE number >= (SELECT first_job FROM sweeps WHERE number = ?1) AND number < "
                       "(SELECT first_job + jobs FROM sweeps WHERE number = ?1) AND stage IN (SELECT stage FROM counts "
                       "WHERE sweep = ?1 AND state = 'stopped' AND n > 0)"));
  FATHOM_TRY(select.bind(1, sweep).step());
  if (select.is_null(0)) return nlohmann::json();
  return nlohmann::json{{"epochs", select.integer(0)}, {"of", select.integer(1)}};
}

}  // namespace

// Newest first.
Result<nlohmann::json> sweeps(Database& database, const Page& page) {
  std::int64_t before = INT64_MAX;
  if (!page.cursor.empty()) {
    FATHOM_ASSIGN(const auto cursor, read_cursor(page.cursor, 'n', 1));
    before = cursor[0];
  }
  const std::int64_t limit = clamp_limit(page.limit);
  FATHOM_ASSIGN(Statement select,
                database.prepare(std::string(kSelectSweep) + " WHERE number < ? ORDER BY number DESC LIMIT ?"));
  select.bind_all(before, limit + 1);
  nlohmann::json items = nlohmann::json::array();
  nlohmann::json next;
  std::int64_t last = 0;
  while (true) {
    FATHOM_ASSIGN(const bool row, select.step());
    if (!row) break;
    if (static_cast<std::int64_t>(items.size()) == limit) {
      next = fmt::format("n{}", last);
      break;
    }
    last = select.integer(0);
    FATHOM_ASSIGN(nlohmann::json object, sweep_object(database, select));
    items.push_back(std::move(object));
  }
  FATHOM_ASSIGN(const std::int64_t total, database.integer("SELECT count(*) FROM sweeps"));
  return nlohmann::json{{"items", std::move(items)}, {"total", total}, {"next", next}};
}

Result<nlohmann::json> sweep(Database& database, std::int64_t number) {
  FATHOM_ASSIGN(Statement select, database.prepare(std::string(kSelectSweep) + " WHERE number = ?"));
  FATHOM_ASSIGN(const bool row, select.bind(1, number).step());
  if (!row) return Error{Errc::not_found, fmt::format("there is no sweep with number {}", number)};
  FATHOM_ASSIGN(nlohmann::json object, sweep_object(database, select));
  // Who watches a sweep asks often: rows are read only where something was stopped.
  object["saved"] = nullptr;
  if (object.at("counts").contains("stopped")) {
    FATHOM_ASSIGN(object["saved"], savings(database, number));
  }
  return object;
}

Result<std::string> submitted_text(const ReadEvents& read, std::uint64_t submitted, bool resolved) {
  std::optional<std::string> text;
  FATHOM_TRY(read({submitted}, [&](const event::Event& event) {
    const auto& e = event.sweep_submitted();
    if (event.has_sweep_submitted()) text = resolved ? e.resolved() : e.yaml();
  }));
  if (text) return *std::move(text);
  return Error{Errc::corrupt,
               fmt::format("record {} of the event log, which submitted the sweep, cannot be read", submitted)};
}

Result<nlohmann::json> workers(Database& database) {
  std::map<std::pair<std::int64_t, std::string>, std::int64_t> running;
  FATHOM_ASSIGN(Statement * active,
                database.cached("SELECT worker, device, count(*) FROM jobs WHERE state = 'leased' OR "
                                "state = 'running' OR state = 'stopping' GROUP BY worker, device"));
  while (true) {
    FATHOM_ASSIGN(const bool row, active->step());
    if (!row) break;
    // A gang's lease names all its devices.
    std::istringstream names(active->text(1));
    for (std::string name; std::getline(names, name, '+');) running[{active->integer(0), name}] += active->integer(2);
  }
  FATHOM_ASSIGN(Statement * select,
                database.cached("SELECT number, uid, name, state, devices, joined FROM workers ORDER BY number"));
  nlohmann::json items = nlohmann::json::array();
  while (true) {
    FATHOM_ASSIGN(const bool row, select->step());
    if (!row) break;
    nlohmann::json devices = parse_or(select->text(4), "[]");
    for (auto& device : devices) {
      const auto found = running.find({select->integer(0), device.value("name", std::string{})});
      // What it was given beyond its slots waits there.
      const std::int64_t given = found == running.end() ? 0 : found->second;
      const std::int64_t runs = std::min(given, device.value("slots", std::int64_t{1}));
      device["running"] = runs, device["waiting"] = given - runs;
    }
    items.push_back({{"id", select->integer(0)},
                     {"uid", select->text(1)},
                     {"name", select->text(2)},
                     {"state", select->text(3)},
                     {"devices", std::move(devices)},
                     {"joined", select->integer(5)}});
  }
  const auto total = items.size();
  return nlohmann::json{{"items", std::move(items)}, {"total", total}, {"next", nullptr}};
}

Result<nlohmann::json> changes_after(Database& database, std::uint64_t seq, const std::string& sweep_id,
                                     std::uint32_t limit) {
  std::int64_t only = 0;
  if (!sweep_id.empty()) {
    FATHOM_ASSIGN(const SweepKey key, find_sweep(database, sweep_id));
    only = key.number;
  }
  const auto after = static_cast<std::int64_t>(seq);
  FATHOM_ASSIGN(Statement select,
                database.prepare(std::string(kSelectSweep) +
                                 " WHERE changed > ?1 AND (?2 = 0 OR number = ?2) ORDER BY number DESC LIMIT 1000"));
  select.bind_all(after, only);
  nlohmann::json changes = {{"sweeps", nlohmann::json::array()}, {"jobs", nlohmann::json::array()}};
  while (true) {
    FATHOM_ASSIGN(const bool row, select.step());
    if (!row) break;
    FATHOM_ASSIGN(nlohmann::json object, sweep_object(database, select));
    changes["sweeps"].push_back(std::move(object));
  }
  FATHOM_ASSIGN(Statement jobs, database.prepare(std::string(kSelectJob) +
                                                 " WHERE j.changed > ?1 AND j.changed > 0 AND "
                                                 "(?2 = 0 OR j.sweep = ?2) ORDER BY j.changed DESC LIMIT ?3"));
  jobs.bind_all(after, only, std::int64_t{limit});
  while (true) {
    FATHOM_ASSIGN(const bool row, jobs.step());
    if (!row) break;
    changes["jobs"].push_back(job_object(jobs));
  }
  FATHOM_ASSIGN(const std::int64_t applied,
                database.integer("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'applied'"));
  changes["seq"] = applied;
  return changes;
}

}  // namespace fathom::store::queries
