// Pages of large sweeps: what lists filter and sort jobs by, column by column in memory. SQLite reads every row of the
// sweep for a page that is sorted by anything but the number; these columns are read from the rows once and afterwards
// only where rows have changed. 16 bytes a job and column, of the sweeps asked for last. Thread: any; one question at a
// time. Failure: errors of the database; afterwards the sweep's columns are read anew.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "coordinator/store/queries.hpp"

namespace fathom::store::queries {

class JobColumns {
 public:
  using Moment = std::chrono::steady_clock::time_point;

  // A condition: the column's value is one of `values`, or begins with one of `prefixes`.
  struct OneOf {
    std::string column;  // SQL, of `jobs j`
    std::vector<std::string> values, prefixes;
  };
  struct Question {
    std::vector<OneOf> filters;
    std::string sort;  // SQL, of `jobs j`; empty: by number
    bool descending = false;
    std::int64_t after = 0;   // by number: only behind this job; 0: from the first
    std::int64_t offset = 0;  // so many are left out
    std::int64_t limit = 0;
  };
  struct Answer {
    std::vector<std::int64_t> numbers;  // jobs without a value last; equal ones by number
    std::int64_t total = 0;             // that the filters let through
  };

  // `database` is in a read transaction.
  Result<Answer> ask(Database& database, const SweepKey& sweep, const Question& question, Moment now);
  // Lets go of sweeps that nobody has asked for since `then`.
  void forget(Moment then);

 private:
  // Of one job: a number, or a text as its place in `words` + 1.
  struct Value {
    double number = 0;
    std::uint32_t word = 0;
  };
  struct Column {
    std::vector<Value> values;  // by job
    std::vector<std::string> words;
    std::unordered_map<std::string, std::uint32_t> known;
    std::vector<std::uint32_t> rank;  // of words, by their bytes; made when it is sorted by
    void set(std::size_t job, const Statement& row, int at);
    void order_words();
  };
  struct Table {
    std::int64_t sweep = 0;
    std::uint64_t seen = 0;  // rows changed up to this event are in the columns
    Moment asked;
    std::map<std::string, Column> columns;  // by their SQL
  };

  Table& table_of(const SweepKey& sweep);
  static Status load(Database& database, const SweepKey& sweep, Table& table, const std::vector<std::string>& wanted);
  static Status refresh(Database& database, const SweepKey& sweep, Table& table);
  static std::vector<std::uint32_t> filtered(const SweepKey& sweep, const Table& table, const Question& question);
  static void sort(Column& column, bool descending, std::vector<std::uint32_t>& jobs, std::size_t count);
  static Answer answer(const SweepKey& sweep, Table& table, const Question& question);

  std::mutex mutex_;
  std::list<Table> tables_;  // the newest first
};

}  // namespace fathom::store::queries
