// `sets: {greedy: k}`: which fusions are tried, what is chosen from them, and that the chosen job is that of a listed
// set.
#include "sweeps/greedy.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "sweeps/expand/expander.hpp"
#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {
namespace {

using nlohmann::json;

std::string five(const std::string& fusion, const std::string& rest = "") {
  return "version: 1\nname: t\nmodel: {path: m}\ntasks: {a: {path: a}, b: {path: b}, c: {path: c}, d: {path: d}, e: "
         "{path: "
         "e}}\ntrain: {epochs: 4, lr: 1e-3}\n" +
         rest + "stages:\n  adapter: {}\n  fusion: {needs: {from: adapter}, " + fusion + "}\n";
}

std::vector<const Job*> fusions(const Plan& plan, bool tried) {
  std::vector<const Job*> out;
  for (const Job& job : plan.jobs) {
    if (job.kind == Kind::fusion && (plan.stages[job.stage].name == "fusion.greedy") == tried) out.push_back(&job);
  }
  return out;
}

TEST(Greedy, TriesOneFusionForEachAdapterThatIsLeftInEachStep) {
  const Plan plan =
      planned(five("sets: {greedy: 3, budget: 2}, targets: [b, e], train: {epochs: 9}", "seeds: [1, 2]\n"));
  EXPECT_EQ(counts(plan), (std::vector<std::size_t>{10, 2 * (4 + 3) * 2, 2 * 2}));
  EXPECT_EQ(plan.stages[1].name, "fusion.greedy");
  for (const Job* job : fusions(plan, true)) {
    EXPECT_EQ(job->epochs, 2u);
    EXPECT_EQ(job->settings.member("train").at("epochs"), 2);
    EXPECT_EQ(members_of(*job), job->needs.size() == 5 ? 2u : 3u);
  }
  for (const Job* job : fusions(plan, false)) {
    EXPECT_EQ(job->epochs, 9u);
    EXPECT_EQ(job->set, "greedy-3");
    ASSERT_EQ(job->needs.size(), 5u + 2u);
    EXPECT_EQ(job->needs[5].contenders.size(), 4u);
    EXPECT_EQ(job->needs[6].contenders.size(), 3u);
    EXPECT_EQ(job->needs[6].contenders[0].jobs.size(), 2u);  // a set is chosen by the mean over the seeds
  }
}

TEST(Greedy, SmallerSetsShareTheTriesOfLargerOnes) {
  const Plan both = planned(five("sets: [{greedy: 2}, {greedy: 4}, all], targets: [a]"));
  EXPECT_EQ(counts(both), (std::vector<std::size_t>{5, 4 + 3 + 2, 3}));
  const Plan other = planned(five("sets: [{greedy: 2}, {greedy: 2, budget: 2}], targets: [a]"));
  EXPECT_EQ(counts(other), (std::vector<std::size_t>{5, 8, 2}));
}

TEST(Greedy, AmongNamesTheCandidatesBesideTheTargetsOwn) {
  const Plan plan = planned(five("sets: {greedy: 2, among: [d, b]}, targets: [a, b]"));
  EXPECT_EQ(counts(plan), (std::vector<std::size_t>{5, 2 + 1, 2}));
  const Job& first = *fusions(plan, false)[0];
  ASSERT_EQ(first.greedy->pool, 3u);
  EXPECT_EQ(first.needs[0].name, "a");
  EXPECT_EQ(first.needs[1].name, "b");  // in the order of the file
}

TEST(Greedy, EachDropHasASetOfItsOwn) {
  const Plan plan = planned(five("sets: {greedy: 2}, targets: [a], drop: {standard: true, robust: 0..3}"));
  EXPECT_EQ(counts(plan), (std::vector<std::size_t>{5, 8, 2}));
}

TEST(Greedy, ExcludedDropsTryNothing) {
  const Plan plan =
      planned(five("sets: {greedy: 2}, targets: [a], drop: {standard: true, robust: 0..3}, exclude: [{drop: "
                   "robust}, {lr: {gt: 1}}]"));
  EXPECT_EQ(counts(plan), (std::vector<std::size_t>{5, 4, 1}));
}

TEST(Greedy, PruningKnowsHowManyAdaptersThereAre) {
  const Plan plan = planned(five("sets: {greedy: 3}, targets: [a]") + "  prune: {from: fusion, keep: [3, 2, 1]}\n");
  EXPECT_EQ(counts(plan), (std::vector<std::size_t>{5, 7, 1, 2}));
}

// The chosen fusion asks for what a listed one asks for, so that each takes the other's result.
TEST(Greedy, WithItsSetTheJobIsThatOfAListedSet) {
  const Plan open = planned(five("sets: {greedy: 3}, targets: [b]", "parameters: {reduction: [8, 16]}\n"));
  const Plan listed = planned(five("sets: [[b, c, e]], targets: [b]", "parameters: {reduction: [8, 16]}\n"));
  const Job closed = with_set(*fusions(open, false)[0], {"b", "c", "e"});
  EXPECT_EQ(closed.settings.canonical(), listed.jobs.back().settings.canonical());
  EXPECT_EQ(closed.set, "b+c+e");
  EXPECT_EQ(closed.needs.size(), 3u);
  EXPECT_EQ(closed.needs[1].name, "c");
  EXPECT_NE(closed.id, listed.jobs.back().id);
  EXPECT_FALSE(closed.greedy);
}

// Forward selection, spelled out.
std::vector<std::string> slowly(const std::map<std::set<std::string>, double>& worth, const std::string& own,
                                std::size_t k) {
  std::set<std::string> set = {own};
  std::vector<std::string> out = {own};
  while (set.size() < k) {
    std::string best;
    for (const std::string name : {"a", "b", "c", "d", "e"}) {
      if (set.contains(name)) continue;
      auto with = set, leader = set;
      with.insert(name), leader.insert(best);
      if (best.empty() || worth.at(with) > worth.at(leader)) best = name;
    }
    set.insert(best);
    out.push_back(best);
  }
  return out;
}

TEST(Greedy, ChoosesAsForwardSelectionSpelledOut) {
  const Plan plan = planned(five("sets: {greedy: 4}, targets: [c]"));
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    std::mt19937_64 random(seed);
    std::map<std::set<std::string>, double> worth;
    for (unsigned bits = 1; bits < 32; ++bits) {
      std::set<std::string> set;
      for (unsigned i = 0; i < 5; ++i) {
        if (bits >> i & 1) set.insert(std::string(1, static_cast<char>('a' + i)));
      }
      worth[set] = static_cast<double>(random() % 20);  // with ties
    }
    std::map<JobIndex, double> objective;
    const auto result = [&](JobIndex index) -> JobResult {
      return {Outcome::succeeded, objective.contains(index) ? objective.at(index) : 0.5};
    };
    for (JobIndex i = 0; i < plan.jobs.size(); ++i) {
      if (plan.stages[plan.jobs[i].stage].name != "fusion.greedy") continue;
      const auto tried = std::get<ChosenSet>(choose_set(plan.jobs[i], result));
      objective[i] = worth.at({tried.members.begin(), tried.members.end()});
    }
    const auto chosen = std::get<ChosenSet>(choose_set(*fusions(plan, false)[0], result));
    EXPECT_EQ(chosen.chosen, slowly(worth, "c", 4)) << "seed " << seed;
    EXPECT_TRUE(std::ranges::is_sorted(chosen.members));
    EXPECT_EQ(chosen.means.size(), 3u);
  }
}

TEST(Greedy, WhatFailedIsNotChosenAndNothingLeftIsMissing) {
  const Plan plan = planned(five("sets: {greedy: 2}, targets: [a]"));
  std::set<JobIndex> failed;
  const auto result = [&](JobIndex index) -> JobResult {
    if (failed.contains(index)) return {Outcome::failed, std::nullopt};
    return {Outcome::succeeded, static_cast<double>(index)};
  };
  const Job& fusion = *fusions(plan, false)[0];
  EXPECT_EQ(std::get<ChosenSet>(choose_set(fusion, result)).chosen, (std::vector<std::string>{"a", "e"}));
  failed.insert(plan.stages[1].first + 3);
  EXPECT_EQ(std::get<ChosenSet>(choose_set(fusion, result)).chosen, (std::vector<std::string>{"a", "d"}));
  for (JobIndex i = 0; i < 4; ++i) failed.insert(plan.stages[1].first + i);
  EXPECT_NE(std::get<Missing>(choose_set(fusion, result)).why.find("choice 2"), std::string::npos);
}

}  // namespace
}  // namespace fathom::sweeps::testing
