// Sweep files of other programs: tests/golden/sweeps/import/NAME.yaml becomes NAME.txt (FATHOM_UPDATE_GOLDEN=1 writes
// those anew), and what comes out is a file that this program takes.
#include "sweeps/import/import.hpp"

#include <algorithm>
#include <cstdlib>

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
    EXPECT_FALSE(planned(out.yaml).jobs.empty()) << out.yaml;
  }
  EXPECT_GE(files, 4u);
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
  EXPECT_EQ(plan.stages.front().stop->brackets, 2u);
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
