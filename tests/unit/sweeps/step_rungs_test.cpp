// Rungs that count optimizer steps.
#include <gmock/gmock.h>

#include "sweeps/search/stopper.hpp"
#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {
namespace {

using ::testing::ElementsAre;

StopRule rule_of(const std::string& stop, const std::string& epochs = "9") {
  const Plan plan = planned(file_with("train: {epochs: " + epochs +
                                      "}\nparameters: {lr: [1, 2]}\nstages: {adapter: {stop: {" + stop + "}}}\n"));
  return plan.stages.empty() || !plan.stages[0].stop ? StopRule{} : *plan.stages[0].stop;
}

std::vector<std::uint32_t> rungs_of(const std::string& stop) { return Stopper(rule_of(stop), Goal::maximize).rungs(0); }

TEST(StepRungs, GoUpWithoutALastOne) {
  const StopRule rule = rule_of("method: asha, eta: 10, unit: step, min: 100000");
  EXPECT_TRUE(rule.by_step);
  EXPECT_EQ(rule.max, kNoLastStep);
  EXPECT_THAT(rungs_of("method: asha, eta: 10, unit: step, min: 100000"),
              ElementsAre(100000, 1000000, 10000000, 100000000, kNoLastStep));
  EXPECT_EQ(describe(rule), "asha, eta 10, from step 100000");
  EXPECT_FALSE(rule_of("method: asha, min: 3").by_step);
}

TEST(StepRungs, EndAtMaxWhateverTheEpochs) {
  EXPECT_THAT(rungs_of("method: asha, eta: 3, unit: step, min: 10, max: 200"), ElementsAre(10, 30, 90, 200));
  EXPECT_THAT(rungs_of("method: halving, eta: 2, unit: step, rungs: 3, max: 100"), ElementsAre(25, 50, 100));
  EXPECT_THAT(rungs_of("method: median, unit: step, min: 20, every: 30, max: 100"), ElementsAre(20, 50, 80, 100));
  // By epochs every epoch counts, judged or not.
  EXPECT_THAT(rungs_of("method: median, min: 3, every: 3"), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9));
}

TEST(StepRungs, AreJudgedAsEpochsAre) {
  Stopper stopper(rule_of("method: asha, eta: 2, unit: step, min: 10"), Goal::maximize);
  EXPECT_TRUE(stopper.report(0, 9, 0.9).empty());
  EXPECT_TRUE(stopper.report(0, 12, 0.9).at(0).keep_going);
  EXPECT_FALSE(stopper.report(1, 10, 0.5).at(0).keep_going);
}

TEST(StepRungs, OfOtherMethodsAllAreJudged) {
  Stopper stopper(rule_of("method: threshold, unit: step, min: 20, every: 30, max: 100, lower: 0.5"), Goal::maximize);
  EXPECT_FALSE(stopper.report(0, 20, 0.4).at(0).keep_going);
  EXPECT_FALSE(stopper.report(1, 50, 0.4).at(0).keep_going);
}

TEST(StepRungs, AreNoPartOfTheIdentity) {
  const auto id = [](const std::string& stop) {
    return planned(file_with("stages: {adapter: {" + stop + "}}\n")).jobs.at(0).id;
  };
  EXPECT_EQ(id("stop: {method: asha, unit: step, min: 10}"), id(""));
}

}  // namespace
}  // namespace fathom::sweeps::testing
