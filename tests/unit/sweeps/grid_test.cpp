// Sampled parameters: points, their order, zip, when, exclude.
#include <cmath>
#include <set>

#include <gmock/gmock.h>

#include "sweeps/resolve/parameters.hpp"
#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {
namespace {

using ::testing::ElementsAre;

// "lr=0.001 batch=8" of each job of task a, by full name order.
std::vector<std::string> points_of(const std::string& lines) {
  std::vector<std::string> out;
  for (const Job& job : planned(file_with(lines + "stages:\n  adapter: {}\n")).jobs) {
    if (job.task != "a") continue;
    std::string text;
    for (const auto& [name, value] : job.parameters) text += (text.empty() ? "" : " ") + name + "=" + value.dump();
    out.push_back(text);
  }
  return out;
}

TEST(Samples, EndsAreExactAndInnerPointsHaveSixDigits) {
  EXPECT_THAT(samples_between(1e-5, 1e-3, 4, true), ElementsAre(1e-5, 4.64159e-5, 2.15443e-4, 1e-3));
  EXPECT_THAT(samples_between(0, 1, 4, false), ElementsAre(0, 0.333333, 0.666667, 1));
  EXPECT_THAT(samples_between(0.123456789, 7, 2, false), ElementsAre(0.123456789, 7));
  EXPECT_EQ(round_digits(123456.7), 123457);
}

TEST(Samples, ValuesKeepTheOrderOfTheFile) {
  EXPECT_THAT(points_of("parameters: {lr: {values: [3e-3, 1e-3, 3e-4]}}\n"),
              ElementsAre("train.lr=0.003", "train.lr=0.001", "train.lr=0.0003"));
  EXPECT_THAT(points_of("parameters: {batch: 8..10}\n"),
              ElementsAre("train.batch=8", "train.batch=9", "train.batch=10"));
}

TEST(Samples, StepsStayBelowMax) {
  EXPECT_THAT(points_of("parameters: {clip: {min: 1, max: 2, step: 0.3}}\n"),
              ElementsAre("train.clip=1", "train.clip=1.3", "train.clip=1.6", "train.clip=1.9"));
  EXPECT_THAT(points_of("parameters: {warmup: {min: 0, max: 0.3, step: 0.1}}\n"),
              ElementsAre("train.warmup=0", "train.warmup=0.1", "train.warmup=0.2", "train.warmup=0.3"));
}

TEST(Samples, IntegersAreRoundedAndEqualPointsAreOne) {
  EXPECT_THAT(points_of("parameters: {epochs: {min: 1, max: 3, samples: 5}}\n"),
              ElementsAre("train.epochs=1", "train.epochs=2", "train.epochs=3"));
  EXPECT_THAT(points_of("parameters: {batch: [16, 16.0, 8]}\n"), ElementsAre("train.batch=16", "train.batch=8"));
}

TEST(Grid, FirstNameIsTheSlowest) {
  // By bare name: lr before reduction, although adapter.* sorts before train.*.
  EXPECT_THAT(points_of("parameters: {reduction: [8, 16], lr: [2, 1]}\n"),
              ElementsAre("adapter.reduction=8 train.lr=2", "adapter.reduction=16 train.lr=2",
                          "adapter.reduction=8 train.lr=1", "adapter.reduction=16 train.lr=1"));
}

TEST(Grid, ZippedParametersAdvanceTogether) {
  EXPECT_THAT(points_of("parameters: {lr: [1, 2], batch: [8, 16], clip: [0, 1]}\nzip: [[lr, batch]]\n"),
              ElementsAre("train.batch=8 train.clip=0 train.lr=1", "train.batch=8 train.clip=1 train.lr=1",
                          "train.batch=16 train.clip=0 train.lr=2", "train.batch=16 train.clip=1 train.lr=2"));
}

TEST(Grid, WhenMakesAParameterAbsentFromTheSettings) {
  const Plan plan =
      planned(file_with("train: {warmup: 0.5}\nparameters:\n  lr: [1e-5, 1e-3]\n  warmup: {values: [0, 0.1], when: "
                        "{lr: {gt: 1e-4}}}\nstages:\n  adapter: {}\n"));
  ASSERT_EQ(plan.jobs.size(), 2u * 3);  // one at the small lr, two at the large
  EXPECT_FALSE(plan.jobs[0].settings.whole().at("train").contains("warmup"));
  EXPECT_FALSE(plan.jobs[0].parameters.contains("train.warmup"));
  EXPECT_EQ(plan.jobs[2].settings.whole().at("train").at("warmup"), 0.1);
}

// Settings of many points are made from those of the first; what a job is must not depend on who stands before it.
TEST(Grid, AJobIsTheSameWhateverPointsAreBesideIt) {
  const auto ids = [](const std::string& parameters) {
    std::vector<std::string> out;
    for (const Job& job : planned(file_with("parameters: {" + parameters + "}\nstages:\n  adapter: {}\n")).jobs) {
      EXPECT_EQ(job.settings.whole().at("train").at("lr"), job.parameters.at("train.lr"));
      if (job.task == "a") out.push_back(job.id.text());
    }
    return out;
  };
  const std::vector<std::string> lrs = {"3e-3", "1", "1e-3", "20"}, batches = {"8", "16"};
  const std::vector<std::string> together = ids("lr: [3e-3, 1, 1e-3, 20], batch: [8, 16], reduction: [8, 16]");
  const std::vector<std::string> plain = ids("lr: [3e-3, 1, 1e-3, 20], batch: [8, 16]");
  std::set<std::string> alone, all;
  for (const std::string& batch : batches) {
    for (const std::string& lr : lrs) {
      const std::string both = "lr: [" + lr + "], batch: [" + batch + "]";
      for (const std::string& id : ids(both)) alone.insert(id);
      for (const char* reduction : {"8", "16"}) {
        for (const std::string& id : ids(both + ", reduction: [" + reduction + "]")) all.insert(id);
      }
    }
  }
  EXPECT_EQ(std::set<std::string>(plain.begin(), plain.end()), alone);
  EXPECT_EQ(alone.size(), 8u);
  EXPECT_EQ(std::set<std::string>(together.begin(), together.end()), all);
  EXPECT_EQ(all.size(), 16u);
}

TEST(Grid, ChainsOfWhenAreJudgedInOrder) {
  EXPECT_THAT(points_of("parameters:\n  clip: {values: [1, 2], when: {weight_decay: 1}}\n  warmup: {values: [0, 0.1], "
                        "when: {clip: 2}}\n  weight_decay: [0, 1]\n"),
              ElementsAre("train.weight_decay=0", "train.clip=1 train.weight_decay=1",
                          "train.clip=2 train.warmup=0 train.weight_decay=1",
                          "train.clip=2 train.warmup=0.1 train.weight_decay=1"));
}

TEST(Grid, ExcludeTakesPointsOut) {
  const std::string parameters = "parameters: {lr: [1, 2], batch: [8, 16]}\n";
  EXPECT_THAT(points_of(parameters + "exclude: [{lr: 1, batch: 16}, {train.batch: {lt: 10}, lr: 2}]\n"),
              ElementsAre("train.batch=8 train.lr=1", "train.batch=16 train.lr=2"));
  EXPECT_EQ(points_of(parameters + "exclude: [{task: b}]\n").size(), 4u);
  EXPECT_EQ(points_of(parameters + "exclude: [{task: a, lr: [1, 2]}, {task: b, lr: 1}]\n").size(), 0u);
}

TEST(Grid, ExcludeKnowsDrops) {
  const Plan plan =
      planned(file_with("parameters: {lr: [1, 2]}\nexclude: [{drop: specialized, lr: 1}]\nstages:\n  adapter: {drop: "
                        "{standard: true, specialized: [1, 2]}}\n"));
  EXPECT_EQ(plan.jobs.size(), 2u * (2 + 1 + 1));
}

TEST(Identity, SpecializedZeroIsStandard) {
  const Plan standard = planned(file_with("stages:\n  adapter: {drop: {standard: true}}\n"));
  const Plan zero = planned(file_with("stages:\n  adapter: {drop: {specialized: [0]}}\n"));
  const Plan both = planned(file_with("stages:\n  adapter: {drop: {standard: true, specialized: 0..0}}\n"));
  ASSERT_EQ(standard.jobs.size(), 2u);
  ASSERT_EQ(both.jobs.size(), 2u);
  EXPECT_EQ(standard.jobs[0].id, zero.jobs.at(0).id);
  EXPECT_EQ(standard.jobs[0].drop, "standard");
  EXPECT_EQ(zero.jobs[0].drop, "standard");
}

// Each line differs from the default, alone and with all others.
TEST(Identity, NamesAndExecutionChangeNoId) {
  const std::string stage = "stages:\n  adapter: {}\n";
  const Plan plain = planned(file_with("parameters: {lr: [1, 2]}\n" + stage));
  const auto expect_same_ids = [&](const std::string& text) {
    const Plan other = planned(text);
    ASSERT_EQ(plain.jobs.size(), other.jobs.size()) << text;
    for (std::size_t i = 0; i < plain.jobs.size(); ++i) EXPECT_EQ(plain.jobs[i].id, other.jobs[i].id) << text;
  };
  const std::string defaults = parsed(file_with("parameters: {lr: [1, 2]}\n" + stage)).resolved.dump();
  std::string all;
  for (const std::string line :
       {"notes: hello\n", "limits: {concurrency: 1, wall: 1h, job_wall: 1m, failed: 2}\n",
        "retry: {max: 0, not_on: [oom]}\n", "cache: {use: false, ttl: 1h}\n", "priority: 1\n", "weight: 9\n",
        "resources: {ranks: 2}\n", "notify: [{on: [cancelled], webhook: 'https://example.org/h'}]\n"}) {
    const std::string text = file_with("parameters: {lr: [1, 2]}\n" + line + stage);
    EXPECT_NE(parsed(text).resolved.dump(), defaults) << line;  // it says something
    expect_same_ids(text);
    all += line;
  }
  std::string renamed = file_with("parameters: {lr: [1, 2]}\n" + all +
                                  "stages:\n  first: {kind: adapter, stop: {method: asha, eta: 2}}\n");
  renamed.replace(renamed.find("name: t\n"), 7, "name: other");
  expect_same_ids(renamed);
}

TEST(Identity, WhatIsTrainedChangesTheId) {
  const auto id = [](const std::string& lines) {
    return planned(file_with(lines + "stages:\n  adapter: {}\n")).jobs.at(0).id.text();
  };
  const std::string plain = id("");
  for (const char* lines :
       {"recipe: hf\n", "seeds: 2\n", "train: {lr: 2}\n", "train: {schedule: constant}\n", "train: {patience: 2}\n",
        "adapter: {reduction: 8}\n", "adapter: {non_linearity: gelu}\n", "objective: {depth: 1}\n",
        "objective: {goal: minimize}\n", "objective: {metric: f1}\n", "precision: bf16\n", "precision: tf32\n"}) {
    EXPECT_NE(id(lines), plain) << lines;
  }
}

TEST(Identity, FixedAndSampledValuesAreOneJob) {
  const Plan fixed = planned(file_with("train: {lr: 0.12345678}\nstages:\n  adapter: {}\n"));
  const Plan sampled = planned(file_with("parameters: {lr: [0.12345678]}\nstages:\n  adapter: {}\n"));
  EXPECT_EQ(fixed.jobs.at(0).id, sampled.jobs.at(0).id);
}

TEST(Identity, AJobOfTwoStagesIsMadeOnce) {
  const Plan plan =
      planned(file_with("stages:\n  one: {kind: adapter}\n  two: {kind: adapter, drop: {standard: true, specialized: "
                        "1}}\n  evaluate: {from: two}\n"));
  EXPECT_THAT(counts(plan), ElementsAre(2, 2, 4));
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_EQ(plan.notes[0], "stage 'two': 2 of its 4 jobs are jobs of an earlier stage and are made once");
}

}  // namespace
}  // namespace fathom::sweeps::testing
