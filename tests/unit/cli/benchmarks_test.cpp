// Benchmarks against their baselines: which are compared, the arithmetic, timing.csv and the table.
#include "cli/benchmarks.hpp"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/result_table.hpp"
#include "cli/tables.hpp"

namespace fathom::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

// A sweep of one stage and what its jobs measured.
struct Measured {
  json rows = json::array(), jobs = json::array();
  json resolved;

  explicit Measured(const json& baselines)
      : resolved({{"stages", {{{"name", "speed"}, {"benchmark", {{"baseline", baselines}}}}}}}) {}

  void add(const std::string& subject, std::uint32_t depth, double seconds, std::uint32_t members = 0,
           const std::string& worker = "w") {
    const std::string id = "job" + std::to_string(jobs.size());
    json parameters = {{"benchmark.subject", subject},
                       {"benchmark.measure", "infer"},
                       {"benchmark.batch", 4},
                       {"benchmark.length", 16},
                       {"benchmark.device", "cpu"}};
    if (subject != "finetune") parameters["benchmark.config"] = "seq_bn";
    if (members > 0) parameters["benchmark.members"] = members;
    jobs.push_back({{"id", id},
                    {"stage", "speed"},
                    {"kind", "benchmark"},
                    {"task", ""},
                    {"worker", worker},
                    {"device", "cpu:0"},
                    {"state", "succeeded"},
                    {"parameters", parameters},
                    {"result", {{"seconds", 100.0}, {"steps", 20}, {"examples", 80}}}});
    for (const auto& [metric, value] : std::map<std::string, double>{
             {"seconds", seconds}, {"p10", seconds * 0.9}, {"p90", seconds * 1.2}, {"rows_per_s", 4 / seconds}}) {
      rows.push_back({{"job", id},
                      {"stage", "speed"},
                      {"kind", "benchmark"},
                      {"task", ""},
                      {"depth", depth},
                      {"metric", metric},
                      {"split", "infer"},
                      {"value", value},
                      {"primary", false}});
    }
  }

  [[nodiscard]] std::vector<json> compared() const { return benchmark_rows(rows, jobs, resolved); }
};

TEST(Benchmarks, RelativeAndSavedAgainstEachBaseline) {
  Measured measured(json::array({"finetune", "adapter"}));
  measured.add("finetune", 0, 0.2);
  measured.add("adapter", 0, 0.25);
  measured.add("adapter", 2, 0.125);
  measured.add("fusion", 0, 0.5, 8);
  const auto rows = measured.compared();
  ASSERT_EQ(rows.size(), 7u);  // the whole model has no adapter to be compared with
  EXPECT_EQ(rows[0].at("baseline"), "finetune");
  EXPECT_DOUBLE_EQ(rows[0].at("relative"), 1);
  EXPECT_DOUBLE_EQ(rows[0].at("saved"), 0);
  EXPECT_EQ(rows[4].at("baseline"), "adapter");
  EXPECT_DOUBLE_EQ(rows[4].at("relative"), 2);
  EXPECT_DOUBLE_EQ(rows[4].at("saved"), 0.5);
  EXPECT_DOUBLE_EQ(rows[5].at("relative"), 0.4);
  EXPECT_DOUBLE_EQ(rows[6].at("relative"), 0.5);
  EXPECT_DOUBLE_EQ(rows[6].at("saved"), -1);
  for (const json& row : rows) EXPECT_FALSE(row.contains("saved_per_layer"));
}

// `depths: all`: one job, a row for each depth; its own depth 0 is the baseline.
TEST(Benchmarks, AJobOfAllDepthsHasARowForEach) {
  Measured measured(json::array({"adapter"}));
  measured.add("adapter", 0, 0.5);
  measured.add("adapter", 1, 0.25);
  for (json& row : measured.rows) row["job"] = "job0";
  const auto rows = measured.compared();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1].at("depth"), 1);
  EXPECT_DOUBLE_EQ(rows[0].at("relative"), 1);
  EXPECT_DOUBLE_EQ(rows[1].at("relative"), 2);
  EXPECT_EQ(std::ranges::count(benchmark_table(rows), '\n'), 3);  // headings and a line for each depth
}

TEST(Benchmarks, SavedPerLayerOfSeveralTasks) {
  Measured measured(json::array({"separate"}));
  measured.add("separate", 0, 1.0, 2);
  measured.add("separate", 0, 4.0, 8);
  measured.add("parallel", 0, 1.0, 2);
  measured.add("parallel", 5, 0.75, 2);
  measured.add("parallel", 5, 2.0, 8);
  const auto rows = measured.compared();
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_FALSE(rows[2].contains("saved_per_layer"));  // nothing is shared
  EXPECT_DOUBLE_EQ(rows[3].at("saved"), 0.25);
  EXPECT_DOUBLE_EQ(rows[3].at("saved_per_layer"), 0.05);
  EXPECT_DOUBLE_EQ(rows[4].at("saved_per_layer"), 0.1);
}

TEST(Benchmarks, TimesOfAnotherMachineAreNoBaseline) {
  Measured measured(json::array({"finetune"}));
  measured.add("finetune", 0, 0.2, 0, "v");
  measured.add("adapter", 0, 0.1);
  const auto rows = measured.compared();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1].at("baseline"), "finetune");
  EXPECT_FALSE(rows[1].contains("relative"));
}

TEST(Benchmarks, TimingHasOneRowForEachBaseline) {
  Measured measured(json::array({"finetune", "adapter"}));
  measured.add("finetune", 0, 0.2);
  measured.add("adapter", 0, 0.25);
  std::vector<CollectedJob> jobs;
  for (const json& job : measured.jobs) jobs.push_back({job, ""});
  const auto files = result_files({{"id", "s"}}, measured.rows, jobs, measured.resolved);
  const std::string& timing = files.at("timing.csv");
  EXPECT_THAT(
      timing,
      HasSubstr("depth,p10,p90,forward,backward,optimizer,rows_per_s,baseline,relative,saved,saved_per_layer\n"));
  EXPECT_THAT(timing, HasSubstr(",20.0,finetune,1.0,0.0,\n"));
  EXPECT_THAT(timing, HasSubstr(",16.0,finetune,0.8,-0.25,\n"));
  EXPECT_THAT(timing, HasSubstr(",16.0,adapter,1.0,0.0,\n"));
  EXPECT_THAT(timing, HasSubstr(",0.25,"));        // the median of a step
  EXPECT_THAT(timing, Not(HasSubstr(",100.0,")));  // what the job took is in jobs.csv
  EXPECT_THAT(files.at("jobs.csv"), HasSubstr(",100.0,"));
}

TEST(Benchmarks, TheTableHasALineForEachJob) {
  Measured measured(json::array({"finetune", "adapter"}));
  measured.add("finetune", 0, 0.2);
  measured.add("fusion", 0, 0.5, 8);
  measured.add("adapter", 0, 0.25);
  EXPECT_EQ(benchmark_table(measured.compared()),
            "device  measure  batch  length  subject         members  drop      ms     p10     p90  rows/s  x finetune "
            "    saved  x adapter     saved\n"
            "cpu     infer        4      16  finetune                    0  200.00  180.00  240.00    20.0        1.00 "
            "    0.0 %\n"
            "cpu     infer        4      16  fusion                8     0  500.00  450.00  600.00     8.0        0.40 "
            " -150.0 %       0.50  -100.0 %\n"
            "cpu     infer        4      16  adapter seq_bn              0  250.00  225.00  300.00    16.0        0.80 "
            "  -25.0 %       1.00     0.0 %\n");
  EXPECT_EQ(benchmark_table({}), "");
  EXPECT_EQ(result_table(measured.rows, measured.jobs), "");  // nothing was scored
}

}  // namespace
}  // namespace fathom::cli
