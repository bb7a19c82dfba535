#include "coordinator/store/job_columns.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace fathom::store::queries {
namespace {

constexpr std::size_t kMostTables = 4;
constexpr std::uint32_t kNull = std::numeric_limits<std::uint32_t>::max();

std::size_t place_of(const SweepKey& sweep, const Statement& row) {
  return static_cast<std::size_t>(row.integer(0) - sweep.first_job);
}

Result<std::uint64_t> newest_change(Database& database) {
  FATHOM_ASSIGN(const std::int64_t newest, database.integer("SELECT max(changed) FROM jobs WHERE changed > 0"));
  return static_cast<std::uint64_t>(newest);
}

}  // namespace

void JobColumns::Column::set(std::size_t job, const Statement& row, int at) {
  Value& value = values[job];
  value = {};
  if (row.is_null(at)) {
    value.word = kNull;
  } else if (row.is_number(at)) {
    value.number = row.real(at);
  } else {
    const auto [found, fresh] = known.try_emplace(row.text(at), static_cast<std::uint32_t>(words.size()));
    if (fresh) words.push_back(found->first);
    value.word = found->second + 1;
  }
}

void JobColumns::Column::order_words() {
  if (rank.size() == words.size() + 1) return;
  std::vector<std::uint32_t> order(words.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, {}, [this](std::uint32_t word) -> const std::string& { return words[word]; });
  rank.assign(words.size() + 1, 0);  // numbers come before texts, as in SQL
  for (std::uint32_t place = 0; place < order.size(); ++place) rank[order[place] + 1] = place + 1;
}

JobColumns::Table& JobColumns::table_of(const SweepKey& sweep) {
  const auto known = std::ranges::find(tables_, sweep.number, &Table::sweep);
  if (known != tables_.end()) {
    tables_.splice(tables_.begin(), tables_, known);
  } else {
    tables_.push_front({.sweep = sweep.number, .asked = {}, .columns = {}});
    if (tables_.size() > kMostTables) tables_.pop_back();
  }
  return tables_.front();
}

// Columns that were not asked for yet.
Status JobColumns::load(Database& database, const SweepKey& sweep, Table& table,
                        const std::vector<std::string>& wanted) {
  std::vector<std::string> missing;
  for (const std::string& column : wanted) {
    if (!table.columns.contains(column) && std::ranges::find(missing, column) == missing.end())
      missing.push_back(column);
  }
  if (missing.empty()) return success();
  FATHOM_ASSIGN(Statement select,
                database.prepare(fmt::format("SELECT j.number, {} FROM jobs j WHERE j.number >= ? AND j.number < ?",
                                             fmt::join(missing, ", "))));
  select.bind_all(sweep.first_job, sweep.first_job + sweep.jobs);
  std::vector<Column> read(missing.size());
  for (Column& column : read) column.values.resize(static_cast<std::size_t>(sweep.jobs));
  while (true) {
    FATHOM_ASSIGN(const bool row, select.step());
    if (!row) break;
    for (std::size_t i = 0; i < read.size(); ++i) read[i].set(place_of(sweep, select), select, static_cast<int>(i) + 1);
  }
  for (std::size_t i = 0; i < read.size(); ++i) table.columns.emplace(missing[i], std::move(read[i]));
  // The tables as this question sees them may be older than what an earlier one saw.
  FATHOM_ASSIGN(const std::uint64_t newest, newest_change(database));
  table.seen = std::min(table.seen, newest);
  return success();
}

// Rows that have changed since the last question. What is loaded afterwards is as new as they are or newer.
Status JobColumns::refresh(Database& database, const SweepKey& sweep, Table& table) {
  std::vector<Column*> columns;
  std::string names;
  for (auto& [name, column] : table.columns) {
    columns.push_back(&column);
    names += ", " + name;
  }
  FATHOM_ASSIGN(Statement select, database.prepare(fmt::format(
                                      "SELECT j.number{} FROM jobs j INDEXED BY jobs_changed WHERE j.changed > ? "
                                      "AND j.changed > 0 AND j.number >= ? AND j.number < ?",
                                      names)));
  FATHOM_ASSIGN(const std::uint64_t newest, newest_change(database));
  if (!columns.empty() && newest > table.seen) {
    select.bind_all(static_cast<std::int64_t>(table.seen), sweep.first_job, sweep.first_job + sweep.jobs);
    while (true) {
      FATHOM_ASSIGN(const bool row, select.step());
      if (!row) break;
      for (std::size_t i = 0; i < columns.size(); ++i)
        columns[i]->set(place_of(sweep, select), select, static_cast<int>(i) + 1);
    }
  }
  table.seen = std::max(table.seen, newest);
  return success();
}

std::vector<std::uint32_t> JobColumns::filtered(const SweepKey& sweep, const Table& table, const Question& question) {
  std::vector<std::uint32_t> chosen(static_cast<std::size_t>(sweep.jobs));
  std::iota(chosen.begin(), chosen.end(), 0U);
  for (const OneOf& filter : question.filters) {
    const Column& column = table.columns.at(filter.column);
    std::vector<bool> wanted(column.words.size() + 1);
    for (std::size_t i = 0; i < column.words.size(); ++i) {
      const std::string& word = column.words[i];
      wanted[i + 1] =
          std::ranges::find(filter.values, word) != filter.values.end() ||
          std::ranges::any_of(filter.prefixes, [&](const std::string& prefix) { return word.starts_with(prefix); });
    }
    std::erase_if(chosen, [&](std::uint32_t job) {
      const std::uint32_t word = column.values[job].word;
      return word == kNull || !wanted[word];
    });
  }
  return chosen;
}

// Only the first `count` have their place.
void JobColumns::sort(Column& column, bool descending, std::vector<std::uint32_t>& jobs, std::size_t count) {
  column.order_words();
  const auto before = [&](std::uint32_t a, std::uint32_t b) {
    const Value &one = column.values[a], &two = column.values[b];
    if ((one.word == kNull) != (two.word == kNull)) return two.word == kNull;
    if (one.word != kNull) {
      const std::pair left(column.rank[one.word], one.number), right(column.rank[two.word], two.number);
      if (left != right) return descending ? right < left : left < right;
    }
    return a < b;
  };
  std::partial_sort(jobs.begin(), jobs.begin() + static_cast<std::ptrdiff_t>(count), jobs.end(), before);
}

JobColumns::Answer JobColumns::answer(const SweepKey& sweep, Table& table, const Question& question) {
  std::vector<std::uint32_t> jobs = filtered(sweep, table, question);
  Answer out{{}, static_cast<std::int64_t>(jobs.size())};
  if (question.after != 0) {
    std::erase_if(jobs, [&](std::uint32_t job) {
      const std::int64_t number = sweep.first_job + job;
      return question.descending ? number >= question.after : number <= question.after;
    });
  }
  const auto begin = std::min(jobs.size(), static_cast<std::size_t>(std::max<std::int64_t>(question.offset, 0)));
  const std::size_t end = std::min(jobs.size(), begin + static_cast<std::size_t>(question.limit));
  if (!question.sort.empty()) {
    sort(table.columns.at(question.sort), question.descending, jobs, end);
  } else if (question.descending) {
    std::ranges::reverse(jobs);
  }
  for (std::size_t i = begin; i < end; ++i) out.numbers.push_back(sweep.first_job + jobs[i]);
  return out;
}

Result<JobColumns::Answer> JobColumns::ask(Database& database, const SweepKey& sweep, const Question& question,
                                           Moment now) {
  const std::lock_guard lock(mutex_);
  Table& table = table_of(sweep);
  table.asked = now;
  std::vector<std::string> wanted;
  for (const OneOf& filter : question.filters) wanted.push_back(filter.column);
  if (!question.sort.empty()) wanted.push_back(question.sort);
  Status done = refresh(database, sweep, table);
  if (done) done = load(database, sweep, table, wanted);
  if (done) return answer(sweep, table, question);
  tables_.pop_front();
  return done.error();
}

void JobColumns::forget(Moment then) {
  const std::lock_guard lock(mutex_);
  tables_.remove_if([&](const Table& table) { return table.asked < then; });
}

}  // namespace fathom::store::queries
