// Sweep files of other programs: tests/golden/sweeps/import/NAME.yaml becomes NAME.txt (FATHOM_UPDATE_GOLDEN=1 writes
// those anew), and what comes out is a file that this program takes.
#include "sweeps/import/import.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "sweeps/search/rungs.hpp"
#include "sweeps/search/space.hpp"
#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {
namespace {

std::filesystem::path folder() { return source_dir() / "tests/golden/sweeps/import"; }

Imported imported(const std::string& name) {
  const std::string text = read_file(folder() / (name + ".yaml"));
  auto out = name.starts_with("wandb") ? import_wandb(name, text) : import_determined(name, text);
  EXPECT_TRUE(out.ok()) << name;
  return out.ok() ? *out : Imported{};
}

TEST(Import, SaysWhatItSaid) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder())) {
    if (entry.path().extension() != ".yaml") continue;
    ++files;
    const auto expected = folder() / (entry.path().stem().string() + ".txt");
    const Imported out = imported(entry.path().stem().string());
    if (std::getenv("FATHOM_UPDATE_GOLDEN") != nullptr) std::ofstream(expected, std::ios::binary) << out.yaml;
    EXPECT_EQ(out.yaml, read_file(expected)) << entry.path();
    if (out.changes.empty()) {
      EXPECT_FALSE(planned(out.yaml).jobs.empty()) << out.yaml;
    }
  }
  EXPECT_GE(files, 11u);
}

TEST(Import, WhatHasToBeChangedIsWhatTheParserSays) {
  for (const char* name : {"wandb-changes", "wandb-grid-from-zero"}) {
    const Imported out = imported(name);
    std::vector<std::string> said;
    for (const Diagnostic& error : parse(out.yaml, {}).errors) said.push_back(error.message);
    EXPECT_FALSE(said.empty()) << name;
    EXPECT_EQ(out.changes, said) << name;
    for (const std::string& one : out.changes) EXPECT_NE(out.yaml.find("# to be changed: " + one), std::string::npos);
  }
  const auto changes = imported("wandb-changes").changes;
  const auto named = [&](const std::string& word) {
    return std::ranges::any_of(changes, [&](const auto& one) { return one.find(word) != std::string::npos; });
  };
  EXPECT_TRUE(named("cosine_with_restarts"));
  EXPECT_TRUE(named("configs/a.yaml"));
  EXPECT_TRUE(named("jobs of different length"));
}

// Every key of the other file is in the new one or in a note.
TEST(Import, NothingIsDroppedSilently) {
  const auto said = [](const std::string& name, const std::string& part) {
    const auto notes = imported(name).notes;
    return std::ranges::any_of(notes, [&](const auto& note) { return note.find(part) != std::string::npos; });
  };
  EXPECT_TRUE(said("wandb-changes", "metric.target"));
  EXPECT_TRUE(said("wandb-twice", "'lr': 'learning_rate' is train.lr already"));
  for (const char* key : {"searcher.train_stragglers", "resources.priority", "resources.resource_pool",
                          "hyperparameters.learning_rate.count"})
    EXPECT_TRUE(said("determined-rest", key)) << key;
  const auto more =
      import_determined("x",
                        "name: two words\nsearcher: {name: grid, bracket_rungs: [3, 1]}\n"
                        "hyperparameters: {lr: [1, 2], batch: {type: int, minval: 8, maxval: 9, count: 2, odd: 1}}\n");
  ASSERT_TRUE(more.ok());
  const std::string all = nlohmann::json(more->notes).dump();
  for (const char* part : {"'name'", "searcher.bracket_rungs", "'lr'", "hyperparameters.batch.odd"})
    EXPECT_NE(all.find(part), std::string::npos) << part << " " << all;
}

TEST(Import, TextsOfTheOtherFileStayTextsAndCommentsStayComments) {
  const auto out =
      import_wandb("x", "method: grid\nparameters: {config: {values: ['a: b, c', seq_bn]}}\n\"x\\ny: z\": 1\n");
  ASSERT_TRUE(out.ok());
  EXPECT_NE(out->yaml.find("config: [\"a: b, c\", seq_bn]"), std::string::npos) << out->yaml;
  EXPECT_EQ(out->yaml.find("\ny: z"), std::string::npos) << out->yaml;
  ASSERT_EQ(out->changes.size(), 1u);
}

// Bands of W&B end at max_iter: 27, 9, 3.
TEST(Import, MaxIterBecomesTheEpochs) {
  const Plan plan = planned(imported("wandb-bands").yaml);
  ASSERT_FALSE(plan.jobs.empty());
  for (const Job& job : plan.jobs) {
    EXPECT_EQ(job.epochs, 27u);
    const double steps = job.parameters.at("train.warmup");
    EXPECT_EQ(std::fmod(steps, 100), 0) << steps;  // q_uniform by 100
  }
  ASSERT_TRUE(plan.stages.front().stop);
  EXPECT_EQ(plan.stages.front().stop->rungs, 3u);
}

// Vector 5 of the stopping rules: R 100, 10 trials, eta 4, standard: 2 rungs and 1. R 1000, eta 3, conservative: 3,
// 2, 1.
TEST(Import, DeterminedsAdaptiveModesMakeItsBrackets) {
  for (const auto& [name, rungs, split] :
       {std::tuple{"determined-standard", 2u, std::vector<std::uint32_t>{7, 3}},
        std::tuple{"determined-conservative", 3u, std::vector<std::uint32_t>{7, 2, 1}}}) {
    const Plan plan = planned(imported(name).yaml);
    ASSERT_TRUE(plan.stages.front().stop) << name;
    EXPECT_EQ(plan.stages.front().stop->rungs, rungs) << name;
    EXPECT_EQ(plan.stages.front().stop->brackets, split.size()) << name;
    std::vector<std::uint32_t> own;
    for (std::uint32_t i = 0; i < split.size(); ++i) own.push_back(rungs - i);
    EXPECT_EQ(split_settings(10, plan.stages.front().stop->eta, own), split) << name;
  }
  const auto listed = import_determined(
      "x",
      "searcher: {name: adaptive_asha, max_trials: 64, divisor: 2, time_metric: epochs, "
      "max_time: 64, bracket_rungs: [3, 4]}\nhyperparameters: {lr: {type: double, minval: 0.1, maxval: 1}}\n");
  ASSERT_TRUE(listed.ok());
  EXPECT_NE(listed->yaml.find("rungs: 4, brackets: 2"), std::string::npos) << listed->yaml;
}

TEST(Import, WandbsBayesDrawsItsTrialsWhileItRunsAndStopsByBands) {
  const Plan plan = planned(imported("wandb-bayes").yaml);
  EXPECT_EQ(plan.jobs.size(), 40u * 2);
  ASSERT_TRUE(plan.stages.front().stop);
  EXPECT_EQ(plan.stages.front().stop->eta, 3u);
  ASSERT_EQ(plan.searches.size(), 1u);
  EXPECT_EQ(plan.searches[0].trials.size(), 40u);
  for (const Dimension& dimension : plan.searches[0].space->dimensions) {
    if (dimension.names.front() == "train.lr") {
      EXPECT_EQ(dimension.low, 1e-5);
    } else if (dimension.names.front() == "train.weight_decay") {
      EXPECT_NEAR(dimension.high, 0.01, 1e-6);  // exp(-4.60517)
    }
  }
  EXPECT_EQ(plan.searches[0].space->dimensions.size(), 3u);
  for (const Job& job : plan.jobs) EXPECT_EQ(job.settings.whole().at("train").at("epochs"), 9);
}

TEST(Import, DeterminedModesAreBrackets) {
  const Plan plan = planned(imported("determined-adaptive").yaml);
  ASSERT_TRUE(plan.stages.front().stop);
  EXPECT_EQ(plan.stages.front().stop->rungs, 4u);
  EXPECT_EQ(plan.stages.front().stop->brackets, 3u);  // of 2, 3 and 4 rungs
  EXPECT_EQ(plan.limits.concurrency, 8u);
  EXPECT_EQ(plan.retry.max, 2u);
  EXPECT_EQ(plan.ranks, 2u);
  EXPECT_EQ(plan.jobs.front().seed, 7);
}

TEST(Import, WhatShouldBeANumberAndIsNoneIsSaid) {
  for (const char* bands : {"two", "-1", "1e300"}) {
    const auto out =
        import_wandb("sweep.yaml", std::string("method: random\nparameters: {lr: {values: [0.1]}}\n") +
                                       "early_terminate: {type: hyperband, max_iter: 9, s: " + bands + "}\n");
    ASSERT_TRUE(out.ok()) << bands;
    EXPECT_TRUE(std::ranges::any_of(out->notes, [](const std::string& one) {
      return one.find("is no number of bands") != std::string::npos;
    })) << bands;
    EXPECT_EQ(out->yaml.find("stop:"), std::string::npos) << bands;
  }
}

TEST(Import, WhatHasNoCounterpartIsSaid) {
  const auto notes = imported("wandb-grid").notes;
  const auto said = [&](const std::string& part) {
    return std::any_of(notes.begin(), notes.end(),
                       [&](const auto& note) { return note.find(part) != std::string::npos; });
  };
  EXPECT_TRUE(said("dropuot"));
  EXPECT_TRUE(said("probabilities"));
  EXPECT_TRUE(said("metric 'loss'"));
  EXPECT_FALSE(import_wandb("x", "[a]").ok());
  EXPECT_FALSE(import_determined("x", "a: [").ok());
}

}  // namespace
}  // namespace fathom::sweeps::testing
