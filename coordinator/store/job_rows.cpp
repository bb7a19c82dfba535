#include "coordinator/store/job_rows.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "coordinator/store/job_history.hpp"

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

// A row is written whole with each change: what is longer goes where it stays.
constexpr std::size_t kLongHistory = 512;  // bytes
constexpr I kAhead = 64;                   // rows read at once

JobRow fresh_row(const Statement& select) {
  JobRow row;
  row.sweep = select.integer(1);
  row.stage = select.text(2);
  row.state = row.stored = select.text(3);
  return row;
}

}  // namespace

// Jobs begin in the order of the table: where one follows another, those behind it are read with it.
Status JobRows::read_ahead(I number) {
  FATHOM_ASSIGN(Statement * select,
                database_.cached("SELECT number, sweep, stage, state FROM jobs WHERE number >= ?1 AND number < ?1 + ?2 "
                                 "AND changed = 0"));
  select->bind(1, number).bind(2, number == last_fresh_ + 1 ? kAhead : I{1});
  for (;;) {
    FATHOM_ASSIGN(const bool row, select->step());
    if (!row) return success();
    if (!jobs_.contains(select->integer(0))) ahead_.try_emplace(select->integer(0), fresh_row(*select));
  }
}

Result<JobRow*> JobRows::job(I number) {
  const auto known = jobs_.find(number);
  if (known != jobs_.end()) return &known->second;
  // Of one that only its submit made the rest is known.
  if (!ahead_.contains(number)) FATHOM_TRY(read_ahead(number));
  if (auto fresh = ahead_.extract(number)) {
    last_fresh_ = number;
    return &jobs_.insert(std::move(fresh)).position->second;
  }
  FATHOM_ASSIGN(
      Statement * select,
      database_.cached("SELECT sweep, stage, state, cause, device, generation, attempt, attempts, epoch, step, "
                       "pinned, changed, objective, worker, started, ended, source, stats, result_generation, "
                       "result_attempt, result_seq, result_rows, sha256, history FROM jobs WHERE number = ?"));
  FATHOM_ASSIGN(const bool found, select->bind(1, number).step());
  if (!found) return nullptr;
  JobRow row;
  row.sweep = select->integer(0);
  row.stage = select->text(1);
  row.state = row.stored = select->text(2);
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
  for (I* value : {&row.result_generation, &row.result_attempt, &row.result_seq, &row.result_rows})
    *value = select->integer(++column);
  row.sha256 = select->text(22);
  row.history = select->text(23);
  select->reset();
  return &jobs_.emplace(number, std::move(row)).first->second;
}

Result<std::optional<JobEnd>> JobRows::end_of(I number) {
  if (const auto known = jobs_.find(number); known != jobs_.end()) {
    const JobRow& row = known->second;
    return std::optional(JobEnd{row.result_attempt, row.objective, row.epoch, row.step});
  }
  FATHOM_ASSIGN(Statement * select,
                database_.cached("SELECT result_attempt, objective, epoch, step FROM jobs WHERE number = ?"));
  FATHOM_ASSIGN(const bool found, select->bind(1, number).step());
  if (!found) return std::optional<JobEnd>{};
  JobEnd end{select->integer(0), std::nullopt, select->integer(2), select->integer(3)};
  if (!select->is_null(1)) end.objective = select->real(1);
  select->reset();
  return std::optional(end);
}

void JobRows::count(const JobRow& job, const std::string& state, I change) {
  counts_[{job.sweep, job.stage, state}] += change;
}

Status JobRows::write_job(I number, JobRow& row) {
  if (row.state != row.stored) {
    count(row, row.stored, -1);
    count(row, row.state, 1);
  }
  if (row.history.size() > kLongHistory) {
    FATHOM_TRY(database_.run("INSERT OR REPLACE INTO job_events VALUES(?, ?, ?)", number,
                             static_cast<I>(parse_history(row.history).front().seq), row.history));
    row.history.clear();
  }
  return database_.run(
      "UPDATE jobs SET state = ?, cause = ?, device = ?, generation = ?, attempt = ?, attempts = ?, epoch = ?, "
      "step = ?, pinned = ?, changed = ?, objective = ?, worker = ?, started = ?, ended = ?, source = ?, "
      "stats = ?, result_generation = ?, result_attempt = ?, result_seq = ?, result_rows = ?, sha256 = ?, "
      "history = ? WHERE number = ?",
      row.state, row.cause, row.device, row.generation, row.attempt, row.attempts, row.epoch, row.step, row.pinned,
      row.changed, row.objective, row.worker, row.started, row.ended, row.source, row.stats, row.result_generation,
      row.result_attempt, row.result_seq, row.result_rows, row.sha256, row.history, number);
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

Status JobRows::flush() {
  // In the order of the table: neighbours share a page.
  std::vector<std::pair<I, JobRow*>> rows;
  rows.reserve(jobs_.size());
  for (auto& [number, row] : jobs_) rows.emplace_back(number, &row);
  std::ranges::sort(rows);
  for (const auto& [number, row] : rows) FATHOM_TRY(write_job(number, *row));
  FATHOM_TRY(write_counts());
  for (const auto& [sweep, change] : touched_) {
    FATHOM_TRY(database_.run("UPDATE sweeps SET changed = ?, reused = reused + ? WHERE number = ?", change.seq,
                             change.reused, sweep));
  }
  clear();
  return success();
}

void JobRows::clear() {
  jobs_.clear();
  ahead_.clear();
  counts_.clear();
  touched_.clear();
}

}  // namespace fathom::store
