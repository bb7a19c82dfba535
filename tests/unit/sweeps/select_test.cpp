// Which model a need takes once results are there.
#include "sweeps/select.hpp"

#include <map>

#include <gtest/gtest.h>

namespace fathom::sweeps {
namespace {

using Results = std::map<JobIndex, JobResult>;

JobResult succeeded(double objective) { return {Outcome::succeeded, objective}; }

std::variant<Waiting, Chosen, Missing> choose(const Need& need, const Results& results) {
  return select(need, [&](JobIndex job) { return results.contains(job) ? results.at(job) : JobResult{}; });
}

JobIndex chosen(const Need& need, const Results& results) {
  const auto choice = choose(need, results);
  EXPECT_TRUE(std::holds_alternative<Chosen>(choice));
  return std::holds_alternative<Chosen>(choice) ? std::get<Chosen>(choice).job : 999;
}

Need need_of(std::vector<Contender> contenders) {
  Need need;
  need.name = "mr";
  need.contenders = std::move(contenders);
  return need;
}

TEST(Select, WaitsForEveryContender) {
  const Need need = need_of({{{0}}, {{1}}});
  const auto choice = choose(need, {{0, succeeded(0.9)}});
  ASSERT_TRUE(std::holds_alternative<Waiting>(choice));
  EXPECT_EQ(std::get<Waiting>(choice).on, 1u);
}

TEST(Select, BestMeanOverSeedsWins) {
  const Need need = need_of({{{0, 1}}, {{2, 3}}});
  const Results results = {{0, succeeded(0.9)}, {1, succeeded(0.1)}, {2, succeeded(0.6)}, {3, succeeded(0.6)}};
  EXPECT_EQ(chosen(need, results), 2u);
  EXPECT_DOUBLE_EQ(std::get<Chosen>(choose(need, results)).mean, 0.6);
}

TEST(Select, SeedPlaceNamesTheJobOfTheWinner) {
  Need need = need_of({{{0, 1}}, {{2, 3}}});
  need.seed_place = 1;
  EXPECT_EQ(chosen(need, {{0, succeeded(1)}, {1, succeeded(1)}, {2, succeeded(2)}, {3, succeeded(2)}}), 3u);
}

TEST(Select, BestSeedOfTheBestSetting) {
  Need need = need_of({{{0, 1}}, {{2, 3}}});
  need.best_seed = true;
  EXPECT_EQ(chosen(need, {{0, succeeded(0.99)}, {1, succeeded(0)}, {2, succeeded(0.6)}, {3, succeeded(0.8)}}), 3u);
}

TEST(Select, MinimizeTurnsTheOrder) {
  Need need = need_of({{{0}}, {{1}}});
  need.goal = Goal::minimize;
  EXPECT_EQ(chosen(need, {{0, succeeded(0.9)}, {1, succeeded(0.2)}}), 1u);
}

TEST(Select, EqualMeansKeepTheFilesOrder) {
  Need need = need_of({{{0}}, {{1}}, {{2}}});
  const Results results = {{0, succeeded(0.5)}, {1, succeeded(0.5)}, {2, succeeded(0.5)}};
  EXPECT_EQ(chosen(need, results), 0u);
  need.rank = 1;
  EXPECT_EQ(chosen(need, results), 1u);
}

TEST(Select, OnlySettingsThatSucceededInEverySeedCompete) {
  const Need need = need_of({{{0, 1}}, {{2, 3}}});
  const Results results = {
      {0, succeeded(0.9)}, {1, {Outcome::failed, std::nullopt}}, {2, succeeded(0.2)}, {3, succeeded(0.2)}};
  EXPECT_EQ(chosen(need, results), 2u);
}

TEST(Select, StoppedCompetesOnlyWhereAsked) {
  Need need = need_of({{{0}}, {{1}}});
  const Results results = {{0, {Outcome::stopped, 0.9}}, {1, succeeded(0.2)}};
  EXPECT_EQ(chosen(need, results), 1u);
  need.accept_stopped = true;
  EXPECT_EQ(chosen(need, results), 0u);
}

TEST(Select, RankBeyondTheSurvivorsIsMissing) {
  Need need = need_of({{{0}}, {{1}}});
  need.rank = 1;
  const auto choice = choose(need, {{0, succeeded(0.9)}, {1, {Outcome::failed, std::nullopt}}});
  ASSERT_TRUE(std::holds_alternative<Missing>(choice));
  EXPECT_EQ(std::get<Missing>(choice).why, "'mr' needs model 2 of 2 settings, and 1 Succeeded in every seed");
}

TEST(Select, NothingSucceededIsMissing) {
  EXPECT_TRUE(std::holds_alternative<Missing>(choose(need_of({{{0}}}), {{0, {Outcome::stopped, 0.9}}})));
  EXPECT_TRUE(std::holds_alternative<Missing>(choose(need_of({{{0}}}), {{0, {Outcome::succeeded, std::nullopt}}})));
}

}  // namespace
}  // namespace fathom::sweeps
