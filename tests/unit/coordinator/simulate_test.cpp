// Sweeps on learning curves, through the real core.
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "coordinator/simulate/simulation.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::simulate {
namespace {

using nlohmann::json;
using sweeps::Plan;
using PlanPtr = std::shared_ptr<const Plan>;

PlanPtr planned(const std::string& yaml, const std::vector<std::string>& set = {}) {
  sweeps::ParseOptions options;
  options.set = set;
  const auto parsed = sweeps::parse(yaml, options);
  for (const auto& error : parsed.errors) ADD_FAILURE() << sweeps::render(error);
  return std::make_shared<const Plan>(sweeps::expand(parsed.sweep).value());
}

PlanPtr without_stop(const PlanPtr& plan) {
  Plan full = *plan;
  for (auto& stage : full.stages) stage.stop.reset();
  return std::make_shared<const Plan>(full);
}

Curves curves(const json& file) { return Curves::read(file.dump()).value(); }

const char* const kThree =
    "version: 1\nname: three\nmodel: {path: m}\ntasks: {a: {path: a}}\ntrain: {epochs: 3}\n"
    "parameters: {lr: [0.1, 0.2, 0.3]}\nstages:\n  adapter: {stop: {method: asha, eta: 2}}\n"
    "  evaluate: {from: adapter, best: 1}\n";

json three_curves() {
  return {{"epoch_seconds", 10},
          {"curves",
           {{{"where", {{"param.lr", 0.1}}}, {"values", {0.5, 0.6, 0.7}}},
            {{"where", {{"param.lr", 0.2}}}, {"values", {0.4, 0.8, 0.9}}, {"epoch_seconds", 11}},
            {{"where", {{"param.lr", 0.3}}}, {"values", {0.3, nullptr, 0.2}}, {"epoch_seconds", 12}}}}};
}

TEST(Simulate, WithoutStoppingEveryCurveRunsToItsEnd) {
  const PlanPtr plan = without_stop(planned(kThree));
  const auto done = run(plan, curves(three_curves()), 3).value();
  EXPECT_EQ(done.jobs[0].state, "succeeded");
  EXPECT_EQ(done.jobs[1].epochs, 3u);
  EXPECT_EQ(done.jobs[1].best, 0.9);
  EXPECT_EQ(done.jobs[2].state, "diverged");
  EXPECT_EQ(done.jobs[2].epochs, 2u);
  EXPECT_EQ(done.jobs[3].state, "succeeded");   // the evaluation of the best
  EXPECT_DOUBLE_EQ(done.makespan, 3 * 11 + 1);  // and its second
}

TEST(Simulate, SlotsQueueJobs) {
  const PlanPtr plan = without_stop(planned(kThree, {"stages.evaluate.best=3"}));
  const auto one = run(plan, curves(three_curves()), 1).value();
  EXPECT_DOUBLE_EQ(one.makespan, 30 + 33 + 24 + 2);  // the diverged one is not evaluated
}

TEST(Simulate, VerdictsStopJobsAndTheComparisonSaysWhatItCost) {
  const PlanPtr plan = planned(kThree);
  const Curves given = curves(three_curves());
  const auto stopping = run(plan, given, 3).value();
  EXPECT_EQ(stopping.jobs[1].state, "stopped");  // a slow start: 0.4 behind 0.5 after one epoch
  EXPECT_EQ(stopping.jobs[1].epochs, 1u);
  const auto comparison = compare(*plan, stopping, run(without_stop(plan), given, 3).value());
  EXPECT_EQ(comparison["groups"][0]["best"]["parameters"]["train.lr"], 0.2);
  EXPECT_EQ(comparison["groups"][0]["chosen"]["parameters"]["train.lr"], 0.1);
  EXPECT_NEAR(comparison["groups"][0]["regret"].get<double>(), 0.2, 1e-12);
  EXPECT_EQ(comparison["run"]["epochs"], 5);
  EXPECT_EQ(comparison["full"]["epochs"], 8);
  EXPECT_EQ(comparison["run"]["epochs_in_stopped"], 2);
  EXPECT_NE(text_of(comparison).find("5 of 8 epochs, 38 % saved"), std::string::npos) << text_of(comparison);
}

TEST(Simulate, APausedJobGoesOnWhereItWas) {
  const PlanPtr plan = planned(kThree, {"stages.adapter.stop.variant=promote"});
  const auto done = run(plan, curves(three_curves()), 1).value();
  EXPECT_EQ(done.jobs[0].state, "succeeded");  // promoted when the second had come: 0.5 before 0.4
  EXPECT_EQ(done.jobs[0].epochs, 3u);
  EXPECT_DOUBLE_EQ(done.jobs[0].seconds, 30);
  EXPECT_EQ(done.jobs[1].state, "stopped");
  EXPECT_EQ(done.jobs[1].epochs, 1u);
  EXPECT_EQ(done.outcome, "succeeded");
}

TEST(Simulate, TrainPatienceEndsAJobAsSucceeded) {
  const PlanPtr plan = without_stop(planned(kThree, {"train.patience=1"}));
  json file = three_curves();
  file["curves"][0]["values"] = {0.5, 0.4, 0.9};
  const auto done = run(plan, curves(file), 3).value();
  EXPECT_EQ(done.jobs[0].epochs, 2u);
  EXPECT_EQ(done.jobs[0].state, "succeeded");
}

TEST(Simulate, AJobWithoutACurveIsNamed) {
  json file = three_curves();
  file["curves"].erase(2);
  const auto done = run(planned(kThree), curves(file), 3);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().message.find("no curve fits job"), std::string::npos);
  EXPECT_FALSE(Curves::read("[]"));
  EXPECT_FALSE(Curves::read("{}"));
  EXPECT_FALSE(Curves::read(R"({"curves": [{"where": {}, "values": ["a"]}]})"));
}

TEST(Simulate, IsTheSameEveryTime) {
  const PlanPtr plan = planned(kThree);
  const Curves made_up = curves({{"synthetic", {{"seed", 3}, {"noise", 0.02}}}});
  const auto once = compare(*plan, run(plan, made_up, 2).value(), run(without_stop(plan), made_up, 2).value());
  const auto twice = compare(*plan, run(plan, made_up, 2).value(), run(without_stop(plan), made_up, 2).value());
  EXPECT_EQ(once, twice);
}

// The search methods on the same curves: 24 settings in each of two groups, five times.
const char* const kMany =
    "version: 1\nname: many\nmodel: {path: m}\ntasks: {a: {path: a}, b: {path: b}}\ntrain: {epochs: 9}\n"
    "search: {sampler: random, trials: 24}\nparameters: {lr: {min: 1e-5, max: 1e-2, scale: log}}\nstages:\n  adapter: "
    "{}\n";

TEST(Simulate, MethodsOnTheSameCurvesSaveWhatTheyShouldAndKeepGoodSettings) {
  struct Measured {
    double saved = 0, regret = 0;
  };
  std::map<std::string, Measured> methods;
  for (const char* stop : {"{method: asha, eta: 3}", "{method: asha, eta: 3, variant: promote}",
                           "{method: halving, eta: 3}", "{method: hyperband, eta: 3}", "{method: median}", ""}) {
    for (int seed = 0; seed < 5; ++seed) {
      const PlanPtr plan = planned(kMany, *stop ? std::vector<std::string>{std::string("stages.adapter.stop=") + stop}
                                                : std::vector<std::string>{});
      const Curves made_up = curves({{"synthetic", {{"seed", seed}, {"noise", 0.01}}}});
      const auto c = compare(*plan, run(plan, made_up, 4).value(), run(without_stop(plan), made_up, 4).value());
      methods[stop].saved += c["saved"].get<double>() / 5;
      methods[stop].regret += c["worst_regret"].get<double>() / 5;
    }
  }
  for (const auto& [method, measured] : methods)
    std::cout << "[   method ] " << (method.empty() ? "random alone" : method) << ": saved " << measured.saved
              << ", regret " << measured.regret << "\n";
  EXPECT_EQ(methods[""].saved, 0);
  EXPECT_GT(methods["{method: asha, eta: 3}"].saved, 0.5);
  // What pauses spends nothing on early arrivals.
  EXPECT_GT(methods["{method: asha, eta: 3, variant: promote}"].saved, methods["{method: asha, eta: 3}"].saved);
  EXPECT_GT(methods["{method: halving, eta: 3}"].saved, methods["{method: asha, eta: 3}"].saved);
  EXPECT_GT(methods["{method: asha, eta: 3}"].saved, methods["{method: hyperband, eta: 3}"].saved);
  EXPECT_GT(methods["{method: hyperband, eta: 3}"].saved, 0.2);
  EXPECT_GT(methods["{method: median}"].saved, 0.05);
  for (const auto& [method, measured] : methods) EXPECT_LT(measured.regret, 0.08) << method;
}

// The same curves for both samplers: how good a setting is depends on where it is, and on noise.
TEST(Simulate, TpeFindsBetterSettingsThanRandomOnTheSameCurves) {
  int better = 0;
  for (int seed = 0; seed < 12; ++seed) {
    const Curves made_up =
        curves({{"synthetic",
                 {{"seed", seed}, {"noise", 0.01}, {"best", {{"lr", 2e-4}, {"batch", 24}, {"config", "par_bn"}}}}}});
    const auto best = [&](const std::string& sampler) {
      const PlanPtr plan = planned(
          "version: 1\nname: s\nmodel: {path: m}\ntasks: {a: {path: a}}\ntrain: {epochs: 9}\nparameters:\n"
          "  lr: {min: 1e-6, max: 1, scale: log}\n  batch: {min: 1, max: 256, scale: log}\n"
          "  config: [seq_bn, par_bn, double_seq_bn]\nstages: {adapter: {}}\n",
          {"search.sampler=" + sampler, "search.trials=40", "search.seed=" + std::to_string(seed)});
      const auto done = run(plan, made_up, 2).value();
      double most = 0;
      for (const JobEnd& job : done.jobs) most = std::max(most, job.best.value_or(0));
      const auto c = compare(*plan, done, done);
      EXPECT_EQ(c["groups"][0]["best"]["parameters"].size(), 3u);
      return most;
    };
    better += best("tpe") > best("random") ? 1 : 0;
  }
  EXPECT_GE(better, 10);  // of equal samplers so many in one of fifty runs
}

TEST(Simulate, TpeWorksWithEarlyStoppingAndItsRegretIsOfWhatItDrew) {
  const PlanPtr plan = planned(kMany, {"search.sampler=tpe", "stages.adapter.stop={method: asha, eta: 3}"});
  const Curves made_up = curves({{"synthetic", {{"seed", 1}, {"noise", 0.01}, {"best", {{"lr", 2e-4}}}}}});
  const auto done = run(plan, made_up, 4).value();
  const auto c = compare(*plan, done, run(without_stop(plan), made_up, 4).value());
  EXPECT_EQ(done.outcome, "succeeded");
  EXPECT_GT(c["run"]["states"]["stopped"].get<int>(), 10);
  EXPECT_EQ(c["groups"].size(), 2u);
  EXPECT_LT(c["worst_regret"].get<double>(), 0.08);
}

}  // namespace
}  // namespace fathom::simulate
