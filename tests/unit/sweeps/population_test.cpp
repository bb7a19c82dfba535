// Population based training: the vector of the reference, who falls behind against a slow model of Ray's rule, and what
// clones get.
#include "sweeps/search/population.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include <gmock/gmock.h>

#include "sweeps/search/space.hpp"
#include "sweeps/search/stopper.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

StopRule rule(std::uint32_t interval, std::uint32_t max) {
  StopRule out;
  out.method = "pbt";
  out.min = out.every = interval;
  out.max = max;
  out.space = std::make_shared<const Space>(json::parse(R"({"seed": 7, "startup": 10, "when": [], "dimensions": [
    {"names": ["train.lr"], "low": 1e-5, "high": 1e-2, "log": true, "whole": false},
    {"names": ["train.weight_decay"], "rows": [[0], [0.01], [0.1], [0.3]]}]})"));
  return out;
}

Stopper population(const StopRule& rule, JobIndex members, Goal goal = Goal::maximize) {
  Stopper out(rule, goal);
  std::vector<JobIndex> all(members);
  std::iota(all.begin(), all.end(), 0U);
  out.admit(all);
  return out;
}

// As whoever drives it does: the member became a clone, or goes on as it was.
void decide(Stopper& stopper, const Stopper::Entry& held) {
  stopper.restore({held.job, held.rung, held.value, true, false});
}

const auto kPoint = [](JobIndex) { return json{{"train.lr", 1e-3}, {"train.weight_decay", 0.01}}; };
const auto kAll = [](const json&) { return true; };

struct PopulationVector : ::testing::Test {
  PopulationVector() : stopper(population(rule(10, 100), 5)) {
    for (JobIndex i = 0; i < 5; ++i) EXPECT_FALSE(stopper.report(i, 10, 50.0 * i).front().held);
  }
  Stopper stopper;
};

TEST_F(PopulationVector, Vector19ALateOneIsPausedAndClonedFromOneOfTheBest) {
  EXPECT_THAT(stopper.report(0, 15, -100), IsEmpty());
  const auto entries = stopper.report(0, 20, -100);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_TRUE(entries.front().held);
  EXPECT_THAT(stopper.donors(0), ElementsAre(3, 4));
  const auto clone = draw_clone(stopper.rule(), 0, entries.front().rung, stopper.donors(0), kPoint, kAll);
  ASSERT_TRUE(clone);
  EXPECT_THAT((std::vector<JobIndex>{3, 4}), Contains(clone->donor));
  EXPECT_THAT(stopper.report(0, 30, -100), IsEmpty());  // it rests
  decide(stopper, entries.front());
  EXPECT_EQ(std::ranges::count_if(stopper.entries(), [](const auto& entry) { return entry.held; }), 0);
  EXPECT_EQ(stopper.report(0, 30, 300).size(), 1u);
}

// "Checkpointed" there: its checkpoint is one that others take.
TEST_F(PopulationVector, Vector19OneOfTheBestLeavesItsCheckpoint) {
  EXPECT_FALSE(stopper.report(0, 20, 200).front().held);
  EXPECT_THAT(stopper.upper(), ElementsAre(0, 4));
  const auto later = stopper.report(1, 30, 201);
  EXPECT_THAT(later, Not(Contains(::testing::Field(&Stopper::Entry::held, true))));
  EXPECT_THAT(stopper.upper(), Contains(1));
  EXPECT_FALSE(stopper.report(4, 30, 199).front().held);
  EXPECT_THAT(stopper.upper(), Not(Contains(4)));
}

TEST(Population, IsJudgedAtItsIntervalsAndNeverAtTheFullBudget) {
  StopRule stop = rule(3, 10);
  EXPECT_THAT(Stopper(stop, Goal::maximize).rungs(0), ElementsAre(3, 6, 9, 10));
  stop.min = 5;
  EXPECT_THAT(Stopper(stop, Goal::maximize).rungs(0), ElementsAre(5, 8, 10));
  Stopper stopper = population(rule(3, 6), 2);
  stopper.report(1, 3, 0.9);
  const auto entries = stopper.report(0, 6, 0.1);  // behind at the first rung, it rests before the last one
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_TRUE(entries.front().held);
  decide(stopper, entries.front());
  EXPECT_FALSE(stopper.report(0, 6, 0.1).front().held);
}

TEST(Population, EqualMembersTakeNothingFromEachOther) {
  Stopper stopper = population(rule(1, 20), 6);
  for (std::uint32_t epoch = 1; epoch < 20; ++epoch) {
    for (JobIndex i = 0; i < 6; ++i) EXPECT_FALSE(stopper.report(i, epoch, 0.5).front().held);
  }
}

TEST(Population, NanNeverEnters) {
  Stopper stopper = population(rule(1, 20), 4);
  for (JobIndex i = 0; i < 3; ++i) stopper.report(i, 1, 0.1 * (i + 1));
  const auto before = stopper.snapshot();
  EXPECT_THAT(stopper.report(3, 1, std::numeric_limits<double>::quiet_NaN()), IsEmpty());
  EXPECT_THAT(stopper.report(3, 1, std::numeric_limits<double>::infinity()), IsEmpty());
  EXPECT_EQ(stopper.snapshot(), before);
}

// ---------------------------------------------------------------- against Ray's rule
// Its _quantiles(), from the whole history each time.
struct SlowPopulation {
  double quantile;
  Goal goal;
  std::vector<std::pair<JobIndex, double>> history;  // values that entered
  std::set<JobIndex> out;                            // whole, failed or cancelled

  [[nodiscard]] std::vector<std::pair<double, JobIndex>> order() const {
    std::map<JobIndex, double> last;
    for (const auto& [member, value] : history) last[member] = value;
    std::vector<std::pair<double, JobIndex>> all;
    for (const auto& [member, value] : last) {
      if (!out.contains(member)) all.emplace_back(goal == Goal::maximize ? value : -value, member);
    }
    std::ranges::stable_sort(all, [](const auto& a, const auto& b) { return a.first < b.first; });
    return all;
  }
  [[nodiscard]] std::size_t count(std::size_t members) const {
    if (members <= 1) return 0;
    auto n = static_cast<std::size_t>(std::ceil(static_cast<double>(members) * quantile));
    if (static_cast<double>(n) > static_cast<double>(members) / 2) n = members / 2;
    return n;
  }
  [[nodiscard]] std::vector<JobIndex> upper() const {
    std::vector<JobIndex> best;
    const auto all = order();
    for (std::size_t i = all.size() - count(all.size()); i < all.size(); ++i) best.push_back(all[i].second);
    return best;
  }
  [[nodiscard]] bool behind(JobIndex member) const {
    const auto all = order();
    for (std::size_t i = 0; i < count(all.size()); ++i) {
      if (all[i].second == member) return all[i].first < all.back().first;
    }
    return false;
  }
};

TEST(PopulationProperty, WhoFallsBehindEqualsTheSlowModel) {
  std::mt19937 random(41);
  std::size_t clones = 0;
  for (int round = 0; round < 300; ++round) {
    StopRule stop = rule(1 + random() % 3, 12);
    stop.quantile = std::vector<double>{0.125, 0.25, 0.5}[random() % 3];
    const Goal goal = random() % 2 == 0 ? Goal::maximize : Goal::minimize;
    const auto members = static_cast<JobIndex>(1 + random() % 9);
    Stopper stopper = population(stop, members, goal);
    SlowPopulation slow{stop.quantile, goal, {}, {}};
    std::vector<std::uint32_t> at(members, 0);
    for (int step = 0; step < 120; ++step) {
      const auto member = static_cast<JobIndex>(random() % members);
      if (random() % 40 == 0) {  // it fails, and comes back where it can
        slow.out.contains(member) && at[member] < 12 ? stopper.readmit(member) : stopper.withdraw(member);
        if (!slow.out.insert(member).second && at[member] < 12) slow.out.erase(member);
        continue;
      }
      if (slow.out.contains(member) || ++at[member] > 12) continue;
      const double value = static_cast<double>(random() % 20);
      const auto entries = stopper.report(member, at[member], value);
      ASSERT_LE(entries.size(), 1u);
      if (entries.empty()) continue;
      slow.history.emplace_back(member, value);
      const bool last = at[member] == 12;
      ASSERT_EQ(entries.front().held, !last && slow.behind(member)) << "round " << round << " step " << step;
      if (last) slow.out.insert(member);
      ASSERT_EQ(stopper.upper(), slow.upper()) << "round " << round << " step " << step;
      if (!entries.front().held) continue;
      ++clones;
      ASSERT_FALSE(stopper.donors(member).empty());
      decide(stopper, entries.front());
    }
  }
  EXPECT_GT(clones, 1000u);
}

TEST(PopulationProperty, AnySnapshotGoesOnAsIfNothingHadHappened) {
  std::mt19937 random(43);
  for (int round = 0; round < 60; ++round) {
    const StopRule stop = rule(1 + random() % 2, 9);
    Stopper undisturbed = population(stop, 8), restarted = undisturbed;
    std::vector<std::uint32_t> at(8, 0);
    for (int step = 0; step < 60; ++step) {
      const auto member = static_cast<JobIndex>(random() % 8);
      if (random() % 5 == 0)
        restarted = Stopper::from_snapshot(stop, Goal::maximize, json::parse(restarted.snapshot().dump()));
      const double value = static_cast<double>(random() % 30);
      const auto entries = undisturbed.report(member, ++at[member], value);
      ASSERT_EQ(restarted.report(member, at[member], value), entries);
      ASSERT_EQ(restarted.donors(member).size(), undisturbed.donors(member).size());
      if (entries.empty() || !entries.back().held || random() % 3 == 0) continue;  // some rest for a while
      decide(undisturbed, entries.back()), decide(restarted, entries.back());
    }
    EXPECT_EQ(restarted.entries(), undisturbed.entries());
  }
}

// ---------------------------------------------------------------- what a clone gets
TEST(Clone, IsTheSameForTheSameMemberRungAndSeedAndAnotherElsewhere) {
  const StopRule stop = rule(1, 9);
  const std::vector<JobIndex> donors = {3, 4, 5};
  std::set<std::string> points;
  std::set<JobIndex> taken;
  for (JobIndex member = 0; member < 20; ++member) {
    for (std::uint32_t rung = 0; rung < 5; ++rung) {
      const auto one = draw_clone(stop, member, rung, donors, kPoint, kAll);
      const auto again = draw_clone(stop, member, rung, donors, kPoint, kAll);
      EXPECT_EQ(one->point, again->point);
      EXPECT_EQ(one->donor, again->donor);
      points.insert(one->point.dump()), taken.insert(one->donor);
    }
  }
  EXPECT_GT(points.size(), 20u);
  EXPECT_EQ(taken.size(), 3u);
  EXPECT_FALSE(draw_clone(stop, 0, 0, {}, kPoint, kAll));
}

TEST(Clone, IsNextToItsDonorAndInsideItsRange) {
  StopRule stop = rule(1, 9);
  stop.resample = 0;
  std::set<double> rates, decays;
  for (JobIndex member = 0; member < 200; ++member) {
    const auto clone = draw_clone(stop, member, 0, {0}, kPoint, kAll);
    EXPECT_THAT(clone->resampled, IsEmpty());
    rates.insert(clone->point.at("train.lr").get<double>()),
        decays.insert(clone->point.at("train.weight_decay").get<double>());
  }
  EXPECT_THAT(rates, ElementsAre(8e-4, 1.2e-3));
  EXPECT_THAT(decays, ElementsAre(0, 0.1));
  const auto highest = [](JobIndex) { return json{{"train.lr", 9e-3}, {"train.weight_decay", 0.3}}; };
  rates.clear(), decays.clear();
  for (JobIndex member = 0; member < 200; ++member) {
    const auto clone = draw_clone(stop, member, 0, {0}, highest, kAll);
    rates.insert(clone->point.at("train.lr").get<double>()),
        decays.insert(clone->point.at("train.weight_decay").get<double>());
  }
  EXPECT_THAT(rates, ElementsAre(7.2e-3, 1e-2));
  EXPECT_THAT(decays, ElementsAre(0.1, 0.3));
}

TEST(Clone, ParametersAreDrawnAnewAsOftenAsWasAsked) {
  StopRule stop = rule(1, 9);
  std::size_t anew = 0;
  for (JobIndex member = 0; member < 2000; ++member) {
    const auto clone = draw_clone(stop, member, 0, {0}, kPoint, kAll);
    anew += clone->resampled.size();
    const double rate = clone->point.at("train.lr");
    EXPECT_TRUE(rate >= 1e-5 && rate <= 1e-2) << rate;
  }
  EXPECT_NEAR(static_cast<double>(anew) / 4000, 0.25, 0.03);
}

TEST(Clone, APointThatIsExcludedIsTheDonorsOwn) {
  const auto none = [](const json&) { return false; };
  const auto clone = draw_clone(rule(1, 9), 1, 0, {0}, kPoint, none);
  EXPECT_EQ(clone->point, kPoint(0));
  EXPECT_THAT(clone->resampled, IsEmpty());
}

TEST(Clone, WhatTheDonorDoesNotHaveIsDrawnOrAbsent) {
  StopRule stop = rule(1, 9);
  stop.resample = 0;
  const auto lacking = [](JobIndex) { return json{{"train.lr", 1e-3}}; };
  EXPECT_THAT(draw_clone(stop, 1, 0, {0}, lacking, kAll)->resampled, ElementsAre("train.weight_decay"));
  stop.space = std::make_shared<const Space>(json::parse(R"({"seed": 7, "startup": 10, "dimensions": [
    {"names": ["train.lr"], "rows": [[0.001]]}, {"names": ["train.clip"], "rows": [[1], [2]]}],
    "when": [["train.clip", {"train.lr": [["in", [0.5]]]}]]})"));
  EXPECT_EQ(draw_clone(stop, 1, 0, {0}, lacking, kAll)->point, (json{{"train.lr", 0.001}, {"train.clip", nullptr}}));
}

}  // namespace
}  // namespace fathom::sweeps
