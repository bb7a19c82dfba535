#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "coordinator/store/queries.hpp"

namespace fathom::store::queries {

void Filter::also(const std::string& condition) {
  if (!where.empty()) where += " AND ";
  where += condition;
}

void Filter::bind(Statement& statement, int first) const {
  for (const auto& value : values) {
    const int index = first++;
    if (const auto* text = std::get_if<std::string>(&value)) {
      statement.bind(index, std::string_view(*text));
    } else {
      statement.bind(index, std::get<std::int64_t>(value));
    }
  }
}

std::int64_t clamp_limit(std::uint32_t limit) { return std::clamp<std::int64_t>(limit, 1, 1000); }

Result<std::vector<std::int64_t>> read_cursor(const std::string& cursor, char letter, std::size_t numbers) {
  const Error bad{Errc::invalid_argument,
                  fmt::format("cursor \"{}\" is none of this list: use \"next\" of the page before, "
                              "with the same sort",
                              cursor.substr(0, 60))};
  if (cursor.empty() || cursor.front() != letter) return bad;
  std::vector<std::int64_t> values;
  const char* at = cursor.data() + 1;
  const char* end = cursor.data() + cursor.size();
  while (values.size() < numbers) {
    std::int64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || value < 0) return bad;
    values.push_back(value);
    at = next;
    if (values.size() < numbers && (at == end || *at++ != '.')) return bad;
  }
  return at == end ? Result<std::vector<std::int64_t>>(values) : Result<std::vector<std::int64_t>>(bad);
}

Result<SweepKey> find_sweep(Database& database, const std::string& sweep) {
  FATHOM_ASSIGN(Statement * select,
                database.cached("SELECT number, first_job, jobs, submitted FROM sweeps WHERE id = ?"));
  FATHOM_ASSIGN(const bool row, select->bind(1, sweep).step());
  if (!row) return Error{Errc::not_found, fmt::format("there is no sweep \"{}\"", sweep.substr(0, 200))};
  const SweepKey key{select->integer(0), select->integer(1), select->integer(2),
                     static_cast<std::uint64_t>(select->integer(3))};
  select->reset();
  return key;
}

Result<std::int64_t> find_job(Database& database, const std::string& sweep, const std::string& job) {
  FATHOM_ASSIGN(const SweepKey key, find_sweep(database, sweep));
  FATHOM_ASSIGN(Statement * select, database.cached("SELECT number FROM jobs WHERE id = ? AND sweep = ?"));
  FATHOM_ASSIGN(const bool row, select->bind_all(job, key.number).step());
  if (!row) return Error{Errc::not_found, fmt::format("sweep {} has no job \"{}\"", sweep, job.substr(0, 64))};
  const std::int64_t number = select->integer(0);
  select->reset();
  return number;
}

Result<std::int64_t> trained_job(Database& database, const std::string& sweep, const std::string& job) {
  FATHOM_ASSIGN(const std::int64_t number, find_job(database, sweep, job));
  return database.integer(fmt::format("SELECT coalesce(source, number) FROM jobs WHERE number = {}", number));
}

const char* const kSelectJob =
    "SELECT j.number, j.id, s.id, j.stage, j.kind, j.task, j.drop_label, j.set_label, j.keep, j.seed, j.parameters, "
    "j.state, "
    "j.cause, j.generation, j.attempt, j.attempts, j.epoch, j.epochs, j.step, j.objective, "
    "(SELECT name FROM workers w WHERE w.number = j.worker), j.device, j.started, j.ended, j.stats, j.source, "
    "(SELECT o.id FROM jobs b JOIN sweeps o ON o.number = b.sweep WHERE b.number = j.source), "
    "coalesce((SELECT b.pinned FROM jobs b WHERE b.number = j.source), j.pinned) "
    "FROM jobs j JOIN sweeps s ON s.number = j.sweep";

nlohmann::json parse_or(const std::string& text, const char* fallback) {
  auto value = nlohmann::json::parse(text, nullptr, false);
  return value.is_discarded() ? nlohmann::json::parse(fallback) : value;
}

nlohmann::json job_object(const Statement& row) {
  const auto integer = [&](int column) {
    return row.is_null(column) ? nlohmann::json() : nlohmann::json(row.integer(column));
  };
  nlohmann::json job = {{"number", row.integer(0)},      {"id", row.text(1)},          {"sweep", row.text(2)},
                        {"stage", row.text(3)},          {"kind", row.text(4)},        {"task", row.text(5)},
                        {"drop", row.text(6)},           {"set", row.text(7)},         {"keep", integer(8)},
                        {"seed", row.integer(9)},        {"state", row.text(11)},      {"cause", row.text(12)},
                        {"generation", row.integer(13)}, {"attempt", row.integer(14)}, {"attempts", row.integer(15)},
                        {"epoch", row.integer(16)},      {"epochs", row.integer(17)},  {"step", row.integer(18)},
                        {"worker", row.text(20)},        {"device", row.text(21)},     {"started", integer(22)},
                        {"ended", integer(23)}};
  if (row.integer(8) == 0) job["keep"] = nullptr;  // only pruned fusions keep a number of adapters
  job["objective"] = row.is_null(19) ? nlohmann::json() : nlohmann::json(row.real(19));
  job["parameters"] = parse_or(row.text(10), "{}");
  job["stats"] = parse_or(row.text(24), "null");
  job["cached"] = !row.is_null(25);
  job["source"] = row.is_null(25) ? nlohmann::json() : nlohmann::json(row.text(26));  // its sweep; the id is the same
  job["pinned"] = row.integer(27) != 0;
  return job;
}

Result<nlohmann::json> job_by_number(Database& database, std::int64_t number) {
  FATHOM_ASSIGN(Statement select, database.prepare(std::string(kSelectJob) + " WHERE j.number = ?"));
  FATHOM_ASSIGN(const bool row, select.bind(1, number).step());
  if (!row) return Error{Errc::not_found, fmt::format("there is no job with number {}", number)};
  return job_object(select);
}

}  // namespace fathom::store::queries
