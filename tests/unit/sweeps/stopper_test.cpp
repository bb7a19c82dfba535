// The other stopping methods against the vectors of the reference (their numbers in the names, with the options under
// which they hold), and snapshots of all of them. Slow models of their rules: slow_models_test.cpp.
#include "sweeps/search/stopper.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "sweeps/search/rungs.hpp"
#include "sweeps/search/verdicts.hpp"
#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps {
namespace {

using ::testing::ElementsAre;
using Numbers = std::vector<std::uint32_t>;

StopRule rule(const std::string& method, std::uint32_t max = 20) {
  StopRule out;
  out.method = method;
  out.max = max;
  out.startup = 1;
  return out;
}

bool report(Stopper& stopper, JobIndex job, std::uint32_t epoch, double value) {
  const auto entries = stopper.report(job, epoch, value);
  return std::all_of(entries.begin(), entries.end(), [](const auto& entry) { return entry.keep_going; });
}

// ---------------------------------------------------------------- brackets
// Of so many in file order, how many are of each bracket.
Numbers first_of(const Numbers& brackets, std::size_t count) {
  Numbers out(3, 0);
  for (std::size_t i = 0; i < count; ++i) ++out.at(brackets.at(i));
  return out;
}

TEST(Brackets, Vector4AdaptiveSplit) {
  EXPECT_THAT(split_settings(20, 3, {3, 2, 1}), ElementsAre(12, 5, 3));
  EXPECT_THAT(split_settings(50, 3, {4, 3}), ElementsAre(35, 15));
  EXPECT_THAT(split_settings(50, 4, {3, 2}), ElementsAre(37, 13));
  EXPECT_THAT(split_settings(100, 4, {4, 3, 2}), ElementsAre(70, 22, 8));
}

// Determined gives each bracket its own slots, 11 over three as 4, 4, 3. Ours share the sweep's, and settings come in
// file order: the same for brackets of equal size.
TEST(Brackets, Vector4ElevenAtOnceOverThreeBrackets) {
  EXPECT_EQ(first_of(spread({6, 6, 6}), 11), (Numbers{4, 4, 3}));
  EXPECT_EQ(first_of(spread({12, 5, 3}), 11), (Numbers{7, 3, 1}));  // else in proportion to the settings
}

// A sweep file of `count` settings, its brackets as {rungs in epochs, settings, settings of the first `at_once`}.
using Parts = std::vector<std::tuple<Numbers, std::uint32_t, std::uint32_t>>;
Parts parts_of(const std::string& stop, const std::string& epochs, std::uint32_t at_once) {
  const Plan plan = testing::planned(testing::file_with(
      "train: {epochs: " + epochs + "}\nsearch: {sampler: random, trials: 10}\nparameters: {lr: {min: 1, max: 2}}\n" +
      "limits: {concurrency: " + std::to_string(at_once) + "}\nstages: {adapter: {stop: " + stop + "}}\n"));
  EXPECT_EQ(plan.limits.concurrency, at_once);
  Stopper stopper(plan.stages.at(0).stop.value(), Goal::maximize);
  std::vector<JobIndex> settings(10);
  std::iota(settings.begin(), settings.end(), 0U);
  stopper.admit(settings);
  Parts out;
  for (std::size_t left = stopper.rungs(0).size(); left > 0; --left) {
    Numbers rungs;
    std::uint32_t all = 0, first = 0;
    for (const JobIndex one : settings) {
      if (stopper.rungs(one).size() != left) continue;
      rungs = stopper.rungs(one);
      ++all, first += one < at_once ? 1 : 0;
    }
    if (all > 0) out.emplace_back(rungs, all, first);
  }
  return out;
}

// Standard mode is the upper half of the 2 rungs that 10 trials allow, conservative all of 3: here said by `rungs` and
// `brackets`. Rungs and trials are Determined's; of the slots (1 and 1; 2, 2 and 1) see vector 4.
TEST(Brackets, Vector5StandardAndConservative) {
  EXPECT_EQ(parts_of("{method: asha, eta: 4, rungs: 2, brackets: 2}", "100", 2),
            (Parts{{{25, 100}, 7, 2}, {{100}, 3, 0}}));
  EXPECT_EQ(parts_of("{method: asha, eta: 3, rungs: 3, brackets: 3}", "1000", 5),
            (Parts{{{111, 333, 1000}, 7, 4}, {{333, 1000}, 2, 1}, {{1000}, 1, 0}}));
  EXPECT_EQ(parts_of("{method: hyperband, eta: 3, rungs: 3}", "1000", 5),
            parts_of("{method: asha, eta: 3, rungs: 3, brackets: 3}", "1000", 5));
}

TEST(Brackets, Vector18Hyperband) {
  const auto brackets = hyperband_brackets(1, 81, 3);
  ASSERT_EQ(brackets.size(), 5u);
  EXPECT_EQ(brackets[0].settings, (Numbers{81, 27, 9, 3, 1}));
  EXPECT_EQ(brackets[1].settings, (Numbers{34, 11, 3, 1}));
  EXPECT_EQ(brackets[2].settings, (Numbers{15, 5, 1}));
  EXPECT_EQ(brackets[3].settings, (Numbers{8, 2}));
  EXPECT_EQ(brackets[4].settings, (Numbers{5}));
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(brackets[i].first, (Numbers{1, 3, 9, 27, 81})[i]);
}

TEST(Brackets, HyperbandHasNoBracketLessWhereLogarithmsLoseOne) {
  EXPECT_EQ(hyperband_brackets(1, 243, 3).size(), 6u);
  EXPECT_EQ(hyperband_brackets(1, 1000, 10).size(), 4u);
}

TEST(Brackets, SettingsAreSpreadEvenlyInFileOrder) {
  EXPECT_EQ(spread({4, 2, 1}), (Numbers{0, 0, 1, 0, 0, 1, 2}));
  EXPECT_EQ(spread({0, 2}), (Numbers{1, 1}));
}

TEST(Hyperband, BracketsStartAtLaterRungsAndAreJudgedApart) {
  StopRule stop = rule("hyperband", 9);
  stop.eta = 3;
  Stopper stopper(stop, Goal::maximize);
  std::vector<JobIndex> settings(20);
  std::iota(settings.begin(), settings.end(), 0U);
  stopper.admit(settings);
  std::map<std::size_t, int> brackets;
  for (const JobIndex one : settings) ++brackets[stopper.rungs(one).size()];
  EXPECT_EQ(brackets, (std::map<std::size_t, int>{{3, 12}, {2, 5}, {1, 3}}));  // vector 4
  const auto in_bracket = [&](std::size_t rungs) {
    return *std::find_if(settings.begin(), settings.end(),
                         [&](JobIndex one) { return stopper.rungs(one).size() == rungs; });
  };
  EXPECT_TRUE(report(stopper, in_bracket(3), 1, 0.9));
  EXPECT_TRUE(report(stopper, in_bracket(2), 3, 0.1));  // worse, but the first of its own bracket
  EXPECT_TRUE(stopper.report(in_bracket(1), 3, 0.0).empty());
}

// ---------------------------------------------------------------- halving
TEST(Asha, Vector9EveryRungThatAReportCrosses) {
  StopRule stop = rule("asha", 100);
  stop.eta = 2;
  Stopper stopper(stop, Goal::minimize);
  for (JobIndex i = 0; i < 7; ++i) stopper.report(i, i == 0 ? 7 : 1, 0.1 * (i + 1));
  // Optuna gives all values at step 7; what was stopped at the first rung enters no other.
  const auto rungs_entered = [&](JobIndex job, double value) { return stopper.report(job, 7, value).size(); };
  EXPECT_EQ(rungs_entered(10, 0.75), 1u);  // rung 0 only, and stops there
  EXPECT_EQ(rungs_entered(11, 0.25), 2u);  // goes on at rung 0, stops at rung 1
  EXPECT_EQ(rungs_entered(12, 0.05), 3u);
}

TEST(Asha, Vector10AloneItPassesEveryRung) {
  StopRule stop = rule("asha", 10);
  stop.eta = 2;
  Stopper stopper(stop, Goal::minimize);
  for (std::uint32_t epoch = 1; epoch < 10; ++epoch) EXPECT_TRUE(report(stopper, 0, epoch, 1.0));
  Numbers passed;
  for (const auto& entry : stopper.entries()) passed.push_back(stopper.rungs(0)[entry.rung]);
  EXPECT_EQ(passed, (Numbers{1, 2, 4, 8}));
}

TEST(Asha, Vector12FirstRungIsTheFirstReportAtOrAfterGrace) {
  StopRule stop = rule("asha", 100);
  stop.eta = 2;
  stop.min = 3;  // grace 2.5 of whole epochs
  Stopper stopper(stop, Goal::maximize);
  report(stopper, 0, 3, 100);
  EXPECT_TRUE(report(stopper, 1, 1, 10));
  EXPECT_TRUE(report(stopper, 1, 2, 10));
  EXPECT_FALSE(report(stopper, 1, 3, 10));
}

// Rungs from 2 on. Optuna prunes at the NaN of step 2 and not at that of step 1. Ours enters neither, so nothing is
// compared with it; the core ends the job at the first (CoreVectors).
TEST(Asha, Vector10NotANumberBeforeAndAtTheFirstRung) {
  StopRule stop = rule("asha", 10);
  stop.eta = 2;
  stop.min = 2;
  Stopper stopper(stop, Goal::minimize);
  EXPECT_TRUE(stopper.report(0, 1, std::nan("")).empty());
  EXPECT_TRUE(stopper.report(0, 2, std::nan("")).empty());
  EXPECT_TRUE(report(stopper, 1, 2, 9.0));
  EXPECT_EQ(stopper.entries().size(), 1u);
}

// Ray's cut is the 50 % point of what is there (275): 260 stops. Ours keeps floor(3 / 2) = 1 of 100, 450, 260.
TEST(Asha, Vector12CutOfTwo) {
  StopRule stop = rule("asha", 100);
  stop.eta = 2;
  Stopper stopper(stop, Goal::maximize);
  report(stopper, 0, 1, 450);
  report(stopper, 1, 1, 100);
  EXPECT_FALSE(report(stopper, 2, 1, 260));
}

// Ray lets ten NaN trials run. Ours: a value that is not finite enters nothing (the core ends such a job as diverged,
// CoreItems).
TEST(Asha, Vector13NotANumberEntersNothingWhateverTheMethod) {
  for (const char* method : {"asha", "hyperband", "median", "percentile", "threshold", "patience"}) {
    Stopper stopper(rule(method), Goal::maximize);
    for (JobIndex i = 0; i < 10; ++i) EXPECT_TRUE(stopper.report(i, 5, std::nan("")).empty());
    EXPECT_TRUE(stopper.report(0, 5, -std::numeric_limits<double>::infinity()).empty());
    EXPECT_TRUE(stopper.entries().empty()) << method;
  }
}

TEST(Asha, Vector14SaveAndRestore) {
  StopRule stop = rule("asha", 100);
  Stopper stopper(stop, Goal::maximize);
  for (JobIndex i = 0; i < 5; ++i) EXPECT_TRUE(report(stopper, i, 1, 10));
  EXPECT_FALSE(report(stopper, 5, 1, 5));
  Stopper restored = Stopper::from_snapshot(stop, Goal::maximize, stopper.snapshot());
  EXPECT_FALSE(report(restored, 6, 1, 4));
  EXPECT_FALSE(report(restored, 7, 1, 2));
}

TEST(Asha, BootstrapHoldsVerdictsUntilThereAreEnough) {
  StopRule stop = rule("asha", 9);
  stop.eta = 3;
  stop.bootstrap = 3;
  Stopper stopper(stop, Goal::maximize);
  EXPECT_TRUE(stopper.report(0, 1, 0.1).front().held);
  EXPECT_TRUE(stopper.report(1, 1, 0.9).front().held);
  const auto last = stopper.report(2, 1, 0.5);  // the third: all three are judged, one of three goes on
  ASSERT_EQ(last.size(), 3u);
  EXPECT_EQ(last[0], (Stopper::Entry{2, 0, 0.5, false, false}));
  EXPECT_EQ(last[1], (Stopper::Entry{0, 0, 0.1, false, false}));
  EXPECT_EQ(last[2], (Stopper::Entry{1, 0, 0.9, true, false}));
  EXPECT_TRUE(stopper.overdue().empty());
  EXPECT_TRUE(stopper.report(0, 3, 1.0).empty());  // stopped
}

// ---------------------------------------------------------------- median
// A at epochs 1..10 with 0, 100 … 900, B at 1..5 with 450; the reference counts from 0.
Stopper median_of_two(bool among_all) {
  StopRule stop = rule("median", 30);
  stop.among_all = among_all;
  Stopper stopper(stop, Goal::maximize);
  for (std::uint32_t i = 0; i < 10; ++i) EXPECT_TRUE(report(stopper, 0, i + 1, 100.0 * i));
  for (std::uint32_t i = 0; i < 5; ++i) EXPECT_TRUE(report(stopper, 1, i + 1, 450));
  return stopper;
}

// among: completed, startup 1.
TEST(Median, Vector15BestAgainstRunningAveragesOfCompletedOnes) {
  Stopper stopper = median_of_two(false);
  report(stopper, 0, 11, 1000);
  stopper.complete(0);
  EXPECT_TRUE(report(stopper, 1, 6, 450));
  EXPECT_TRUE(report(stopper, 1, 7, 0));  // its best, 450, is above 300
  for (std::uint32_t epoch = 8; epoch < 10; ++epoch) EXPECT_TRUE(report(stopper, 1, epoch, 450));
  EXPECT_TRUE(report(stopper, 1, 10, 450));   // mean of 0 … 900 is 450: not strictly worse
  EXPECT_FALSE(report(stopper, 1, 11, 450));  // 500
}

// among: all.
TEST(Median, Vector16IsAMedianNotAMean) {
  Stopper stopper = median_of_two(true);
  EXPECT_TRUE(report(stopper, 2, 2, 260));   // median(mean(0, 100), 450) = 250
  EXPECT_FALSE(report(stopper, 2, 3, 260));  // median(100, 450) = 275
}

TEST(Median, StartsOnlyWithEnoughToCompareWith) {
  StopRule stop = rule("median", 3);
  stop.startup = 2;
  Stopper stopper(stop, Goal::minimize);
  for (std::uint32_t epoch = 1; epoch <= 3; ++epoch) report(stopper, 0, epoch, 0.1);
  EXPECT_TRUE(report(stopper, 1, 1, 9));
  for (std::uint32_t epoch = 1; epoch <= 3; ++epoch) report(stopper, 2, epoch, 0.2);
  EXPECT_FALSE(report(stopper, 1, 2, 9));
}

TEST(Median, AWindowForgetsTheSlowStart) {
  StopRule stop = rule("median", 10);
  stop.window = 1;
  Stopper stopper(stop, Goal::maximize);
  report(stopper, 0, 1, 0.0), report(stopper, 0, 2, 0.9), stopper.complete(0);
  report(stopper, 1, 1, 0.5);
  EXPECT_FALSE(report(stopper, 1, 2, 0.5));  // 0.9 of that epoch, not the mean 0.45
}

// ---------------------------------------------------------------- percentile
Stopper five_finished(Goal goal, double percent) {
  StopRule stop = rule("percentile", 5);
  stop.percentile = percent;
  Stopper stopper(stop, goal);
  for (JobIndex i = 0; i < 5; ++i) report(stopper, i, 1, i + 1.0), stopper.complete(i);
  return stopper;
}

TEST(Percentile, Vector11) {
  for (const auto& [goal, value, goes_on] : std::vector<std::tuple<Goal, double, bool>>{{Goal::minimize, 2.1, false},
                                                                                        {Goal::minimize, 2.0, true},
                                                                                        {Goal::maximize, 3.9, false},
                                                                                        {Goal::maximize, 4.0, true}}) {
    Stopper stopper = five_finished(goal, 25);
    EXPECT_EQ(report(stopper, 9, 1, value), goes_on) << value;
  }
}

// Values that are not finite are no history, and one of its own enters nothing: the core ends the job (CoreVectors).
TEST(Percentile, Vector11NotANumber) {
  StopRule stop = rule("percentile", 5);
  stop.percentile = 25;
  Stopper nothing(stop, Goal::minimize);
  for (JobIndex i = 0; i < 5; ++i) EXPECT_TRUE(nothing.report(i, 1, std::nan("")).empty());
  EXPECT_TRUE(report(nothing, 9, 1, 100));
  Stopper five = five_finished(Goal::minimize, 25);
  EXPECT_TRUE(five.report(9, 1, std::nan("")).empty());
  EXPECT_EQ(five.entries().size(), 5u);
}

TEST(Percentile, WhatFailedIsNotComparedWith) {
  for (const char* method : {"median", "percentile"}) {
    StopRule stop = rule(method, 9);
    stop.among_all = true;
    Stopper stopper(stop, Goal::maximize);
    report(stopper, 0, 1, 0.9);
    stopper.withdraw(0);  // it diverged after its first epoch
    EXPECT_TRUE(report(stopper, 1, 1, 0.5)) << method;
    stopper.readmit(0);
    EXPECT_FALSE(report(stopper, 2, 1, 0.5)) << method;
  }
}

// ---------------------------------------------------------------- threshold, patience
TEST(Threshold, OutsideItsBoundsFromMinOn) {
  StopRule stop = rule("threshold");
  stop.lower = 0.5;
  stop.min = 2;
  Stopper stopper(stop, Goal::maximize);
  EXPECT_TRUE(report(stopper, 0, 1, 0.1));
  EXPECT_TRUE(report(stopper, 0, 2, 0.5));
  EXPECT_FALSE(report(stopper, 0, 3, 0.49));
}

TEST(Patience, EpochsWithoutProgress) {
  StopRule stop = rule("patience");
  stop.patience = 2;
  stop.min_delta = 0.05;
  Stopper stopper(stop, Goal::maximize);
  std::string verdicts;
  std::uint32_t epoch = 0;
  for (const double value : {.50, .60, .62, .66, .66, .70}) verdicts += report(stopper, 0, ++epoch, value) ? 'C' : 'S';
  EXPECT_EQ(verdicts, "CCCCCS");  // .66 betters .60; neither .66 nor .70 betters that
  EXPECT_EQ(without_progress({3, 2, 2, 1}, Goal::minimize, 0), 0u);
  EXPECT_EQ(without_progress({3, 2, 2, 2.5}, Goal::minimize, 0), 2u);
}

// ---------------------------------------------------------------- properties
struct Reported {
  JobIndex job;
  std::uint32_t epoch;
  double value;
};

// Epoch by epoch, in a random order of settings; few values, so that there are ties.
std::vector<Reported> random_reports(std::mt19937& random, std::uint32_t settings, std::uint32_t max) {
  std::vector<Reported> out;
  std::vector<std::uint32_t> at(settings, 0);
  for (std::uint32_t i = 0; i < settings * max; ++i) {
    const JobIndex job = random() % settings;
    if (at[job] < max) out.push_back({job, ++at[job], static_cast<double>(random() % 9)});
  }
  return out;
}

TEST(StopperProperty, AnySnapshotGoesOnAsIfNothingHadHappened) {
  std::mt19937 random(5);
  for (const char* method : {"asha", "hyperband", "median", "percentile", "threshold", "patience"}) {
    for (int round = 0; round < 10; ++round) {
      StopRule stop = rule(method, 9);
      stop.eta = 2 + random() % 2;
      stop.bootstrap = std::string(method) == "asha" ? random() % 4 : 0;
      stop.lower = 1;
      stop.patience = 2;
      Stopper undisturbed(stop, Goal::maximize);
      std::vector<JobIndex> settings(12);
      std::iota(settings.begin(), settings.end(), 0U);
      undisturbed.admit(settings);
      Stopper restarted = undisturbed;
      for (const Reported& one : random_reports(random, 12, stop.max)) {
        if (random() % 8 != 0) {
          ASSERT_EQ(restarted.report(one.job, one.epoch, one.value), undisturbed.report(one.job, one.epoch, one.value));
          continue;
        }
        restarted = Stopper::from_snapshot(stop, Goal::maximize, nlohmann::json::parse(restarted.snapshot().dump()));
        ASSERT_EQ(restarted.report(one.job, one.epoch, one.value), undisturbed.report(one.job, one.epoch, one.value))
            << method;
      }
      EXPECT_EQ(restarted.entries(), undisturbed.entries());
    }
  }
}

}  // namespace
}  // namespace fathom::sweeps
