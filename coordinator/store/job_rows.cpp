#include "coordinator/store/job_rows.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace fathom::store {
namespace {

using I = std::int64_t;

std::optional<I> integer_of(const Statement& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return row.integer(column);
}

std::optional<std::string> text_of(const Statement& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return row.text(column);
}

// In JSON it stands for itself.
bool is_plain(char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; }

}  // namespace

Result<JobRow*> JobRows::job(I number) {
  const auto known = jobs_.find(number);
  if (known != jobs_.end()) return &known->second;
  FATHOM_ASSIGN(
      Statement * select,
      database_.cached("SELECT sweep, stage, state, cause, device, generation, attempt, attempts, epoch, step, "
                       "pinned, changed, objective, worker, started, ended, source, stats, result_generation, "
                       "result_attempt, result_seq, sha256 FROM jobs WHERE number = ?"));
  FATHOM_ASSIGN(const bool found, select->bind(1, number).step());
  if (!found) return nullptr;
  JobRow row;
  row.sweep = select->integer(0);
  row.stage = select->text(1);
  row.state = select->text(2);
  row.cause = select->text(3);
  row.device = select->text(4);
  int column = 4;
  for (I* value : {&row.generation, &row.attempt, &row.attempts, &row.epoch, &row.step, &row.pinned, &row.changed})
    *value = select->integer(++column);
  if (!select->is_null(12)) row.objective = select->real(12);
  column = 12;
  for (auto* value : {&row.worker, &row.started, &row.ended, &row.source}) *value = integer_of(*select, ++column);
  row.stats = text_of(*select, 17);
  column = 17;
  for (I* value : {&row.result_generation, &row.result_attempt, &row.result_seq}) *value = select->integer(++column);
  row.sha256 = select->text(21);
  select->reset();
  return &jobs_.emplace(number, std::move(row)).first->second;
}

Result<AttemptRow*> JobRows::attempt(I job, I generation, I attempt) {
  const auto known = attempts_.find({job, generation, attempt});
  if (known != attempts_.end()) return &known->second;
  FATHOM_ASSIGN(Statement * select, database_.cached("SELECT worker, device, granted, started, ended, outcome, text, "
                                                     "resumed_epoch, epoch, data_sha256, base_sha256 FROM attempts "
                                                     "WHERE job = ? AND generation = ? AND attempt = ?"));
  FATHOM_ASSIGN(const bool found, select->bind_all(job, generation, attempt).step());
  if (!found) return nullptr;
  AttemptRow row;
  row.worker = select->integer(0);
  row.device = select->text(1);
  row.granted = integer_of(*select, 2);
  row.started = integer_of(*select, 3);
  row.ended = integer_of(*select, 4);
  row.outcome = select->text(5);
  row.text = select->text(6);
  row.resumed_epoch = select->integer(7);
  row.epoch = select->integer(8);
  row.data_sha256 = text_of(*select, 9);
  row.base_sha256 = text_of(*select, 10);
  select->reset();
  return &attempts_.emplace(AttemptKey(job, generation, attempt), std::move(row)).first->second;
}

AttemptRow& JobRows::new_attempt(I job, I generation, I attempt) {
  return attempts_[{job, generation, attempt}] = AttemptRow{};
}

void JobRows::count(const JobRow& job, const std::string& state, I change) {
  counts_[{job.sweep, job.stage, state}] += change;
}

Status JobRows::write_job(I number, const JobRow& row) {
  return database_.run(
      "UPDATE jobs SET state = ?, cause = ?, device = ?, generation = ?, attempt = ?, attempts = ?, epoch = ?, "
      "step = ?, pinned = ?, changed = ?, objective = ?, worker = ?, started = ?, ended = ?, source = ?, "
      "stats = ?, result_generation = ?, result_attempt = ?, result_seq = ?, sha256 = ? WHERE number = ?",
      row.state, row.cause, row.device, row.generation, row.attempt, row.attempts, row.epoch, row.step, row.pinned,
      row.changed, row.objective, row.worker, row.started, row.ended, row.source, row.stats, row.result_generation,
      row.result_attempt, row.result_seq, row.sha256, number);
}

Status JobRows::write_attempt(const AttemptKey& key, const AttemptRow& row) {
  const auto& [job, generation, attempt] = key;
  return database_.run("INSERT OR REPLACE INTO attempts VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", job,
                       generation, attempt, row.worker, row.device, row.granted, row.started, row.ended, row.outcome,
                       row.text, row.resumed_epoch, row.epoch, row.data_sha256, row.base_sha256);
}

Status JobRows::write_counts() {
  for (const auto& [key, change] : counts_) {
    if (change == 0) continue;
    const auto& [sweep, stage, state] = key;
    FATHOM_TRY(database_.run("INSERT INTO counts VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET n = n + ?4", sweep,
                             stage, state, change));
  }
  return success();
}

void JobRows::tell(I job, I seq, I wall_ms, const std::string& type, const std::string& text) {
  History& history = history_[job];
  if (history.entries.empty()) history.seq = seq;
  history.entries += history.entries.empty() ? '[' : ',';
  fmt::format_to(std::back_inserter(history.entries), "[{},{},\"{}\",", seq, wall_ms, type);
  if (std::ranges::all_of(text, is_plain)) {
    ((history.entries += '"') += text) += '"';
  } else {  // what a trainer said may be in it, in whatever bytes
    history.entries += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  history.entries += ']';
}

Status JobRows::write_history() {
  for (auto& [job, history] : history_) {
    history.entries += ']';
    FATHOM_TRY(database_.run("INSERT OR REPLACE INTO job_events VALUES(?, ?, ?)", job, history.seq, history.entries));
  }
  return success();
}

Status JobRows::flush() {
  for (const auto& [number, row] : jobs_) FATHOM_TRY(write_job(number, row));
  for (const auto& [key, row] : attempts_) FATHOM_TRY(write_attempt(key, row));
  FATHOM_TRY(write_history());
  FATHOM_TRY(write_counts());
  for (const auto& [sweep, seq] : touched_) {
    FATHOM_TRY(database_.run("UPDATE sweeps SET changed = ? WHERE number = ?", seq, sweep));
  }
  clear();
  return success();
}

void JobRows::clear() {
  jobs_.clear();
  attempts_.clear();
  history_.clear();
  counts_.clear();
  touched_.clear();
}

}  // namespace fathom::store
