// Pages from columns in memory are those that SQL gives, whatever is asked and whatever changed in between.
#include <random>

#include <gtest/gtest.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "coordinator/store/job_columns.hpp"
#include "coordinator/store/read_schema.hpp"
#include "tests/unit/coordinator/store_testing.hpp"

namespace fathom::store::queries {
namespace {

using testing::TempFolder;

constexpr SweepKey kSweep{2, 101, 400};
const std::vector<std::string> kStates = {"ready", "running", "succeeded", "failed"};
const std::vector<std::string> kDrops = {"standard", "specialized-03", "specialized-05", "robust-00-05"};

class JobColumnsTest : public ::testing::Test {
 protected:
  JobColumnsTest() {
    auto opened = Database::open(folder_.path() / "tables.db", {});
    EXPECT_TRUE(opened) << opened.error().message;
    database_ = std::move(*opened);
    run(kReadSchema);
    // Neighbours that no page may have.
    for (std::int64_t number = 1; number <= 600; ++number) {
      const std::int64_t sweep = number < kSweep.first_job ? 1 : number < kSweep.first_job + kSweep.jobs ? 2 : 3;
      run(fmt::format(
          "INSERT INTO jobs(number, sweep, state, id, drop_label, seed, parameters) "
          "VALUES({}, {}, 'ready', 'x', '{}', {}, '{}')",
          number, sweep, kDrops[pick(4)], pick(3),
          pick(3) == 0 ? "{}" : fmt::format(R"({{"train.lr":{},"adapter.config":"c{}"}})", pick(9), pick(4))));
    }
  }

  std::size_t pick(std::size_t count) { return random_() % count; }
  void run(const std::string& sql) {
    const Status done = database_.execute(sql);
    ASSERT_TRUE(done) << done.error().message;
  }
  void change_some() {
    for (std::size_t i = pick(20); i > 0; --i) {
      const std::string objective = pick(3) == 0 ? "NULL" : std::to_string(pick(50)) + ".5";
      run(fmt::format("UPDATE jobs SET state = '{}', objective = {}, worker = {}, changed = {} WHERE number = {}",
                      kStates[pick(4)], objective, pick(3), ++seq_, 1 + pick(600)));
    }
  }

  JobColumns::Question question() {
    static const std::vector<std::string> sorts = {"",
                                                   "j.state",
                                                   "j.objective",
                                                   "j.seed",
                                                   "j.drop_label",
                                                   "j.worker",
                                                   "json_extract(j.parameters, '$.\"train.lr\"')",
                                                   "json_extract(j.parameters, '$.\"adapter.config\"')"};
    JobColumns::Question out;
    if (pick(2) == 0) out.filters.push_back({"j.state", {kStates[pick(4)], kStates[pick(4)]}, {}});
    if (pick(2) == 0) out.filters.push_back({"j.drop_label", {"standard"}, {"specialized-"}});
    if (pick(9) == 0) out.filters.push_back({"j.state", {"nothing"}, {}});
    out.sort = sorts[pick(sorts.size())];
    out.descending = pick(2) == 0;
    if (out.sort.empty() && pick(2) == 0) out.after = kSweep.first_job + static_cast<std::int64_t>(pick(400));
    if (!out.sort.empty()) out.offset = static_cast<std::int64_t>(pick(500));
    out.limit = static_cast<std::int64_t>(1 + pick(60));
    return out;
  }

  JobColumns::Answer by_sql(const JobColumns::Question& asked) {
    std::string where = fmt::format("sweep = {}", kSweep.number);
    for (const auto& filter : asked.filters) {
      where += fmt::format(" AND ({} IN ('{}')", filter.column, fmt::join(filter.values, "', '"));
      for (const std::string& prefix : filter.prefixes)
        where += fmt::format(" OR {} LIKE '{}%'", filter.column, prefix);
      where += ")";
    }
    JobColumns::Answer out;
    out.total = *database_.integer("SELECT count(*) FROM jobs j WHERE " + where);
    if (asked.after != 0) where += fmt::format(" AND number {} {}", asked.descending ? "<" : ">", asked.after);
    const char* direction = asked.descending ? "DESC" : "ASC";
    const std::string order = asked.sort.empty() ? fmt::format("number {}", direction)
                                                 : fmt::format("{} {} NULLS LAST, number", asked.sort, direction);
    auto prepared = database_.prepare(fmt::format("SELECT number FROM jobs j WHERE {} ORDER BY {} LIMIT {} OFFSET {}",
                                                  where, order, asked.limit, asked.offset));
    Statement select = std::move(*prepared);
    while (*select.step()) out.numbers.push_back(select.integer(0));
    return out;
  }

  TempFolder folder_;
  Database database_;
  std::mt19937 random_{7};
  std::uint64_t seq_ = 0;
};

TEST_F(JobColumnsTest, GiveThePagesThatSqlGives) {
  JobColumns columns;
  std::size_t full = 0;
  for (int round = 0; round < 400; ++round) {
    change_some();
    if (round % 50 == 49) columns.forget(JobColumns::Moment::max());
    const auto asked = question();
    const auto answer = columns.ask(database_, kSweep, asked, {});
    ASSERT_TRUE(answer) << answer.error().message;
    const auto expected = by_sql(asked);
    ASSERT_EQ(answer->numbers, expected.numbers) << "round " << round << ", by " << asked.sort;
    ASSERT_EQ(answer->total, expected.total) << "round " << round;
    full += answer->numbers.empty() ? 0 : 1;
  }
  EXPECT_GT(full, 100U);
}

// A question may see older tables than the one before it: what it reads then is read again.
TEST_F(JobColumnsTest, AnOlderSnapshotLeavesNothingStale) {
  DatabaseOptions options;
  options.read_only = true;
  auto reader = Database::open(folder_.path() / "tables.db", options);
  ASSERT_TRUE(reader) << reader.error().message;
  ASSERT_TRUE(reader->execute("BEGIN"));
  ASSERT_TRUE(reader->integer("SELECT count(*) FROM jobs"));  // its snapshot is from here
  run(fmt::format("UPDATE jobs SET state = 'failed', objective = 9, changed = {} WHERE number = 111", ++seq_));
  JobColumns columns;
  JobColumns::Question by_state{{}, "j.state", false, 0, 0, 1};
  EXPECT_EQ(columns.ask(database_, kSweep, by_state, {})->numbers, std::vector<std::int64_t>{111});
  JobColumns::Question by_objective{{}, "j.objective", true, 0, 0, 1};
  EXPECT_EQ(columns.ask(*reader, kSweep, by_objective, {})->numbers, std::vector<std::int64_t>{101}) << "not there yet";
  EXPECT_EQ(columns.ask(database_, kSweep, by_objective, {})->numbers, std::vector<std::int64_t>{111});
}

TEST_F(JobColumnsTest, AnErrorIsToldAndForgotten) {
  JobColumns columns;
  JobColumns::Question wrong{{}, "j.nothing", false, 0, 0, 1};
  EXPECT_FALSE(columns.ask(database_, kSweep, wrong, {}));
  JobColumns::Question right{{}, "j.seed", false, 0, 0, 1};
  EXPECT_TRUE(columns.ask(database_, kSweep, right, {}));
}

}  // namespace
}  // namespace fathom::store::queries
