// The CSV files of a result folder, the summary behind them and the table on the terminal.
#include "cli/tables.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/result_table.hpp"
#include "cli/summary.hpp"
#include "cli/text_table.hpp"

namespace fathom::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

json row(const std::string& task, const std::string& drop, int depth, int seed, double value,
         const std::string& stage = "adapter") {
  return {{"stage", stage}, {"kind", stage},   {"task", task},           {"drop", drop},    {"depth", depth},
          {"set", ""},      {"kept", nullptr}, {"seed", seed},           {"split", "eval"}, {"metric", "accuracy"},
          {"value", value}, {"primary", true}, {"param.train.lr", 0.001}};
}

const Summary* find(const std::vector<Summary>& all, const std::string& task, const std::string& drop, int depth) {
  for (const Summary& one : all) {
    if (one.key.task == task && one.key.drop == drop && one.key.depth == depth) return &one;
  }
  return nullptr;
}

TEST(Summarize, MeanDeviationRetainedAndAverage) {
  const json rows = {row("mr", "standard", 0, 1, 0.8),        row("mr", "standard", 0, 2, 0.6),
                     row("sms", "standard", 0, 1, 0.9),       row("sms", "standard", 0, 2, 0.9),
                     row("mr", "specialized-02", 2, 1, 0.35), row("mr", "standard", 1, 1, 0)};
  json with_null = rows;
  with_null.back()["value"] = nullptr;
  const auto all = summarize(with_null);
  const Summary* mr = find(all, "mr", "standard", 0);
  ASSERT_NE(mr, nullptr);
  EXPECT_NEAR(mr->mean(), 0.7, 1e-12);
  EXPECT_NEAR(*mr->deviation(), 0.1414213562, 1e-9);
  EXPECT_NEAR(*mr->retained, 1.0, 1e-12);
  EXPECT_NEAR(*find(all, "mr", "specialized-02", 2)->retained, 0.5, 1e-12);
  const Summary* average = find(all, "average", "standard", 0);
  ASSERT_NE(average, nullptr);
  EXPECT_NEAR(average->by_seed.at(1), 0.85, 1e-12);
  EXPECT_NEAR(average->by_seed.at(2), 0.75, 1e-12);
  EXPECT_EQ(find(all, "average", "specialized-02", 2), nullptr);  // only one of the two tasks has it
  EXPECT_EQ(find(all, "mr", "standard", 1), nullptr);             // not measured
}

TEST(Summarize, RetainedFallsBackToTheBestStandardSetting) {
  json other = row("mr", "robust-00-05", 3, 1, 0.4);
  other["param.train.lr"] = 0.003;
  const auto all = summarize({row("mr", "standard", 0, 1, 0.8), other});
  EXPECT_NEAR(*find(all, "mr", "robust-00-05", 3)->retained, 0.5, 1e-12);
}

TEST(ResultFiles, ColumnsParametersAndQuotes) {
  CollectedJob job{
      {{"id", "0123456789abcdef"},
       {"stage", "fusion"},
       {"kind", "fusion"},
       {"task", "mr"},
       {"drop", "standard"},
       {"seed", 1},
       {"state", "failed"},
       {"cause", "a \"b\", c"},
       {"keep", 0},
       {"parameters", {{"train.lr", 0.001}}},
       {"attempts", {json::object(), json::object()}},
       {"result",
        {{"seconds", 2.0},
         {"examples", 10},
         {"attention",
          {{{"layer", 0}, {"site", "output_adapter"}, {"adapter", "mr"}, {"mean_weight", 0.5}, {"rank", 1}}}}}}},
      ""};
  const auto files = result_files({{"id", "s"}}, json::array({row("mr", "standard", 0, 1, 0.8)}), {job}, {});
  EXPECT_THAT(files.at("results.csv"), StartsWith("sweep,stage,kind,task,drop,n,lo,hi,depth,set,members,kept,seed,"
                                                  "split,metric,value,primary,epoch,status,param.train.lr,recipe,"));
  EXPECT_THAT(files.at("results.csv"),
              HasSubstr("\ns,adapter,adapter,mr,standard,,,,0,,,,1,eval,accuracy,0.8,true,,,0.001,"));
  EXPECT_THAT(files.at("summary.csv"), HasSubstr("\nadapter,mr,standard,,,,0,,,0.001,accuracy,0.8,,1,0.8,0.8,1.0\n"));
  EXPECT_THAT(files.at("jobs.csv"),
              HasSubstr("\n0123456789abcdef,fusion,mr,standard,1,0.001,failed,\"a \"\"b\"\", c\",2,false,"));
  EXPECT_THAT(files.at("timing.csv"), HasSubstr(",10,,2.0,,5.0,,"));
  EXPECT_THAT(files.at("fusion_attention.csv"), HasSubstr("\n0123456789abcdef,mr,1,0,output_adapter,mr,0.5,1,\n"));
}

TEST(ResultTable, DepthsAsColumnsTheFusionBelowTheAdapter) {
  json fused = row("mr", "standard", 0, 1, 0.85, "evaluate");
  fused["set"] = "mr+sms";
  const json rows = {row("mr", "standard", 0, 1, 0.5), row("mr", "standard", 0, 1, 0.8, "evaluate"),
                     row("mr", "standard", 1, 1, 0.7, "evaluate"), fused};
  const json jobs = {
      {{"kind", "adapter"},
       {"task", "mr"},
       {"drop", "standard"},
       {"set", ""},
       {"keep", 0},
       {"state", "succeeded"},
       {"result", {{"steps_per_s", 4.0}}}},
      {{"kind", "adapter"}, {"task", "mr"}, {"drop", "standard"}, {"set", ""}, {"keep", 0}, {"state", "stopped"}}};
  EXPECT_EQ(result_table(rows, jobs),
            "task  adapter or fusion  drop 0  drop 1  steps/s  stopped  reused\n"
            "mr    standard            0.800   0.700      4.0        1       0\n"
            "mr    mr+sms              0.850                         0       0\n");
  EXPECT_EQ(result_table(json::array(), json::array()), "");
}

TEST(TextTable, CountsCharactersNotBytes) {
  TextTable table({"name", ">value"});
  table.row({"é", "1"});
  table.row({"abcde", "10±2"});
  EXPECT_EQ(table.text(), "name   value\né          1\nabcde   10±2\n");
  EXPECT_EQ(duration_text(5), "5 s");
  EXPECT_EQ(duration_text(600), "10 min");
  EXPECT_EQ(duration_text(7200), "2.0 h");
  EXPECT_EQ(time_text(0), "");
}

}  // namespace
}  // namespace fathom::cli
