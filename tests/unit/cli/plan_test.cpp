// The dependency graph and the estimate of time that `fathom plan` shows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/estimate.hpp"
#include "cli/plan_graph.hpp"
#include "cli/plan_text.hpp"
#include "cli/sweep_file.hpp"
#include "sweeps/search/stopper.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

sweeps::Plan planned(const std::string& rest) {
  const auto parsed =
      sweeps::parse("version: 1\nname: p\nmodel: {path: m}\ntasks: {a: {path: a}, b: {path: b}}\n" + rest, {});
  for (const auto& error : parsed.errors) ADD_FAILURE() << sweeps::render(error);
  return sweeps::expand(parsed.sweep).value();
}

const char* const kFused =
    "train: {epochs: 2}\nparameters: {lr: [0.1, 0.2]}\nstages:\n  adapter: {}\n"
    "  fusion: {needs: {from: adapter}, sets: all, targets: [a], train: {epochs: 3}}\n  evaluate: {from: fusion}\n";

TEST(PlanText, SaysRecipePrecisionAndHowItStops) {
  const sweeps::Plan plan = planned(
      "recipe: hf\nprecision: bf16\ntrain: {epochs: 27}\nparameters: {lr: [1, 2, 3, 4]}\nstages:\n"
      "  adapter: {stop: {method: asha, eta: 3, rungs: 2}}\n"
      "  second: {kind: adapter, stop: {method: median, every: 2}}\n");
  const std::string text = plan_text(plan);
  EXPECT_EQ(text.substr(0, text.find('\n')), "p: 8 jobs, recipe hf, precision bf16");
  EXPECT_THAT(text, HasSubstr("asha, eta 3, rung at epoch 9 of 27"));
  EXPECT_THAT(text, HasSubstr("median, from epoch 1 every 2, startup 3"));
  EXPECT_THAT(text, HasSubstr("note: "));
  const auto json = plan_json(plan);
  EXPECT_EQ(json["recipe"], "hf");
  EXPECT_EQ(json["precision"], "bf16");
  EXPECT_EQ(json["stages"][0]["stop"].dump(),
            R"({"method":"asha","unit":"epoch","min":1,"max":27,"eta":3,"rungs":[9,27],"brackets":1,"variant":"stop",)"
            R"("bootstrap":0})");
  EXPECT_EQ(
      json["stages"][1]["stop"].dump(),
      R"({"method":"median","unit":"epoch","min":1,"max":27,"every":2,"startup":3,"among":"completed","window":0})");
}

TEST(PlanText, EachMethodHasItsOwnWords) {
  const auto words = [](const std::string& stop) {
    return sweeps::describe(
        *planned("train: {epochs: 9}\nparameters: {lr: [1, 2, 3, 4]}\nstages: {adapter: {stop: " + stop + "}}\n")
             .stages[0]
             .stop);
  };
  EXPECT_EQ(words("{method: asha}"), "asha, eta 4, rungs at epoch 1, 4 of 9");
  EXPECT_EQ(words("{method: asha, min: 12}"), "asha, eta 4, no rung before epoch 9");
  EXPECT_EQ(words("{method: asha, brackets: 2, bootstrap: 3, eta: 3}"),
            "asha, eta 3, rungs at epoch 1, 3 of 9, 2 brackets, none stops before 3 are there");
  EXPECT_EQ(words("{method: hyperband, eta: 3}"), "hyperband, eta 3, rungs at epoch 1, 3 of 9, a bracket from each");
  EXPECT_EQ(words("{method: asha, unit: step, min: 100}"), "asha, eta 4, from step 100");
  EXPECT_EQ(words("{method: threshold, lower: 0.5}"), "threshold, below 0.5 stops, from epoch 1");
  EXPECT_EQ(words("{method: patience, patience: 2}"), "patience 2, from epoch 1");
  EXPECT_EQ(words("{method: percentile, percentile: 25, among: all}"),
            "percentile 25, from epoch 1, startup 3, among all");
  EXPECT_EQ(words("{method: pbt, interval: 2}"), "pbt every 2 epochs");
}

TEST(PlanGraph, TextSaysWhoTakesFromWhom) {
  EXPECT_EQ(graph_text(planned(kFused)),
            "adapter (adapter): 4 jobs\n"
            "fusion (fusion): 1 jobs\n"
            "  takes 2 models from adapter, each the best of up to 2 jobs, for 1 jobs\n"
            "evaluate (evaluate): 1 jobs\n"
            "  takes 1 models from fusion, each a certain job, for 1 jobs\n");
}

TEST(PlanGraph, DotHasANodeForEachJobAndAnEdgeForEachThatIsLookedAt) {
  const sweeps::Plan plan = planned(kFused);
  const std::string dot = graph_dot(plan);
  EXPECT_EQ(dot.rfind("digraph \"p\" {", 0), 0u);
  for (const auto& job : plan.jobs) EXPECT_NE(dot.find("\"" + job.id.text() + "\" [label="), std::string::npos);
  const std::string fusion = plan.jobs[4].id.text();
  for (int i = 0; i < 4; ++i)
    EXPECT_NE(
        dot.find("\"" + plan.jobs[static_cast<std::size_t>(i)].id.text() + "\" -> \"" + fusion + "\" [style=dashed];"),
        std::string::npos);
  EXPECT_NE(dot.find("\"" + fusion + "\" -> \"" + plan.jobs[5].id.text() + "\";"), std::string::npos);
}

TEST(PlanGraph, ShowsWhatTheFileDoesNotMake) {
  const sweeps::Plan plan =
      planned("stages:\n  fusion: {needs: {from: ['sweep:old/adapter', {b: kept/b}]}, sets: [all], targets: [a]}\n");
  EXPECT_EQ(graph_text(plan),
            "fusion (fusion): 1 jobs\n  takes 1 models from folder kept/b\n  takes 1 models from sweep:old/adapter\n");
  const std::string dot = graph_dot(plan);
  EXPECT_NE(dot.find("\"sweep:old/adapter\" -> \"" + plan.jobs[0].id.text() + "\" [style=dashed];"), std::string::npos);
  EXPECT_NE(dot.find("\"kept/b\" -> \"" + plan.jobs[0].id.text() + "\";"), std::string::npos);
}

TEST(PlanGraph, LargePlansShowTheirStages) {
  const std::string dot = graph_dot(planned("seeds: 1..1500\nstages: {adapter: {}}\n"));
  EXPECT_NE(dot.find("adapter: 3000 jobs"), std::string::npos);
  EXPECT_LT(dot.size(), 1000u);
}

// Where the data root is known, depths are held to the model that lies there.
TEST(CheckSweep, SeesTheLayersOfTheModelBelowTheRoot) {
  std::string folder = (fs::temp_directory_path() / "fathom-check-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  fs::create_directories(folder + "/m");
  std::ofstream(folder + "/m/config.json") << R"({"num_hidden_layers": 4})";
  const auto check = [&](const std::string& model, int n, const std::string& root) {
    std::ofstream(folder + "/sweep.yaml")
        << "version: 1\nname: p\nmodel: " << model
        << "\ntasks: {a: {path: a}}\nstages: {adapter: {drop: {specialized: " << n << "}}}\n";
    SweepFile file;
    file.file = folder + "/sweep.yaml";
    file.root = root;
    const auto checked = check_sweep(file);
    EXPECT_TRUE(checked.ok()) << checked.error().message;
    std::string said;
    for (const auto& error : checked->errors) said += sweeps::render(error).substr(folder.size() + 1) + "\n";
    for (const auto& note : checked->notes) said += "note: " + note + "\n";
    return said;
  };
  for (const char* model : {"{path: m}", "{config: m/config.json, init: random}"}) {
    EXPECT_EQ(check(model, 3, folder), "");
    EXPECT_EQ(check(model, 4, folder),
              "sweep.yaml:5:40: error: drop depth 4 is more than the model allows: it has 4 layers, so depths go up to "
              "3\n  stages: {adapter: {drop: {specialized: 4}}}\n" +
                  std::string(41, ' ') + "^\n")
        << model;
    EXPECT_EQ(check(model, 4, ""), "");
    // A root that cannot be looked into is no mistake of the file, but people are told.
    EXPECT_THAT(check(model, 4, folder + "/nowhere"), HasSubstr("nowhere is no folder"));
  }
  EXPECT_THAT(check("{path: absent}", 4, folder), HasSubstr("note: --root: depths were not checked"));
  EXPECT_THAT(check("{path: absent}", 4, folder), HasSubstr("absent/config.json"));
  std::ofstream(folder + "/m/config.json") << R"({"layers": 4})";
  EXPECT_THAT(check("{path: m}", 4, folder), HasSubstr("does not say num_hidden_layers"));
  fs::remove_all(folder);
}

TEST(Estimate, TakesMediansByTaskAndQueuesJobsOnSlots) {
  std::string folder = (fs::temp_directory_path() / "fathom-plan-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string file = folder + "/jobs.csv";
  std::ofstream(file) << "job,task,epochs,seconds\n1,a,2,20\n2,a,2,24\n3,a,2,600\n4,b,4,8\n5,a,,7\n6,b,3,\n";
  const auto rates = read_rates(file);
  fs::remove_all(folder);
  ASSERT_TRUE(rates.ok()) << rates.error().message;
  EXPECT_EQ(rates->measured, 5u);
  EXPECT_EQ(rates->by_task.at("a"), 12);
  EXPECT_EQ(rates->by_task.at("b"), 2);
  EXPECT_EQ(rates->untrained, 7);
  // adapters: a 24, 24, b 4, 4; the fusion on a 36; its evaluation 7
  const Estimate one = estimate(planned(kFused), *rates, 1);
  EXPECT_EQ(one.slot_seconds, 24 + 24 + 4 + 4 + 36 + 7);
  EXPECT_EQ(one.seconds, one.slot_seconds);
  EXPECT_EQ(estimate(planned(kFused), *rates, 2).seconds, 28 + 36 + 7);
  EXPECT_EQ(estimate(planned(kFused), *rates, 9).seconds, 24 + 36 + 7);
  EXPECT_EQ(estimate(planned(kFused), Rates{}, 1).unknown, 6u);
  // What has a result takes no time.
  const auto plan = planned(kFused);
  EXPECT_EQ(estimate(plan, *rates, 1, {plan.jobs[0].id.text()}).slot_seconds, one.slot_seconds - 24);
  EXPECT_EQ(time_text(3725), "1 h 2 min");
}

// An epoch is its steps over the measured steps/s, by task and drop; the rest of a job's time is its overhead.
TEST(Estimate, IsFromStepsPerSecondWhereTheyAreKnown) {
  std::string folder = (fs::temp_directory_path() / "fathom-plan-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string file = folder + "/jobs.csv";
  std::ofstream(file) << "job,task,drop,epochs,seconds,steps,steps_per_s\n1,a,standard,2,23,100,5\n"
                         "2,a,specialized-03,2,13,100,10\n3,b,standard,4,11,80,10\n";
  const auto rates = read_rates(file);
  fs::remove_all(folder);
  ASSERT_TRUE(rates.ok()) << rates.error().message;
  EXPECT_EQ(rates->by_drop.at({"a", "standard"}), 10);
  EXPECT_EQ(rates->by_drop.at({"a", "specialized-03"}), 5);
  EXPECT_EQ(rates->by_task.at("a"), 7.5);
  EXPECT_EQ(rates->by_task.at("b"), 2);
  EXPECT_EQ(rates->overhead, 3);
  // adapters on a 2 epochs, on b 2, two of each; the fusion on a 3 epochs, standard; nothing is known of evaluations
  const Estimate one = estimate(planned(kFused), *rates, 1);
  EXPECT_EQ(one.slot_seconds, 2 * (20 + 3) + 2 * (4 + 3) + 30 + 3);
  EXPECT_EQ(one.unknown, 1u);
}

}  // namespace
}  // namespace fathom::cli
