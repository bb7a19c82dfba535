// Members that the file does not make: of other sweeps and from folders.
#include "sweeps/elsewhere.hpp"

#include <gmock/gmock.h>

#include "sweeps/select.hpp"
#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Plan fusions(const std::string& needs, const std::string& more = "") {
  return planned(file_with("seeds: [4, 5]\nstages:\n  fusion: {needs: {" + needs + "}, sets: [[b, a]], targets: [a]" +
                           more + "}\n"));
}

// The stage of another sweep that is looked at: two settings of a with seeds 4 and 5, one of b.
Plan other() {
  return planned(
      file_with("seeds: [4, 5]\nstages:\n  adapter: {parameters: {lr: [1, 2]}, drop: {standard: true, "
                "specialized: 1}}\n  fusion: {needs: {from: adapter}, sets: [all]}\n"));
}

std::vector<Contender> found(const Plan& plan, const Elsewhere& asked, std::string& why) {
  return contenders_in(
      plan, asked, [&](JobIndex index) -> const Job& { return plan.jobs[index]; }, why);
}

TEST(Elsewhere, ANeedOfAnotherSweepAsksAndRunsWithTheSeedsOfTheFile) {
  const Plan plan = fusions("from: 'sweep:old/adapter', where: {drop: standard}, on_missing: wait");
  ASSERT_EQ(plan.jobs.size(), 2u);
  const Job& job = plan.jobs[1];
  EXPECT_EQ(job.seed, 5);
  ASSERT_EQ(job.needs.size(), 2u);
  EXPECT_EQ(job.needs[0].name, "b");
  EXPECT_TRUE(job.needs[0].contenders.empty());
  ASSERT_EQ(job.needs[0].elsewhere.size(), 1u);
  EXPECT_EQ(name_of(*job.needs[0].elsewhere[0]), "sweep:old/adapter");
  EXPECT_EQ(job.needs[0].elsewhere[0]->task, "b");
  EXPECT_EQ(job.needs[0].seed, 5);
  EXPECT_EQ(job.needs[0].on_missing, OnMissing::wait);
  // What is asked is in the identity, by name: which jobs these are is not known yet.
  EXPECT_EQ(job.settings.whole().at("from")[0],
            json::parse(R"({"name":"b","contenders":[],"rank":0,"seed":5,"stopped":false,"elsewhere":[{"sweep":"old",
                           "stage":"adapter","where":{"drop":[["in",["standard"]]]}}]})"));
  EXPECT_NE(fusions("from: 'sweep:older/adapter', where: {drop: standard}").jobs[1].id, job.id);
  EXPECT_THAT(plan.notes, ElementsAre(HasSubstr("members are chosen from sweep:old/adapter when it is there")));
}

TEST(Elsewhere, BestSeedsAndSeedsOfItsOwn) {
  EXPECT_EQ(fusions("from: 'sweep:old/adapter', seeds: best").jobs.size(), 1u);
  const Plan own = fusions("from: 'sweep:old/adapter', seeds: best", ", seeds: [7, 8, 9]");
  ASSERT_EQ(own.jobs.size(), 3u);
  EXPECT_TRUE(own.jobs[2].needs[0].best_seed);
  EXPECT_EQ(own.jobs[2].settings.whole().at("from")[0].at("seed"), "best");
}

TEST(Elsewhere, PerDropAndSeedNarrowWhatIsAsked) {
  const Plan plan = fusions("from: 'sweep:old/adapter', per: [task, drop, seed]", ", drop: {specialized: 1}");
  const Elsewhere& asked = *plan.jobs[0].needs[0].elsewhere[0];
  EXPECT_EQ(asked.drop, "specialized-01");
  EXPECT_EQ(asked.seed, 4);
  EXPECT_EQ(plan.jobs[0].settings.whole().at("from")[0].at("elsewhere")[0],
            json::parse(R"({"sweep":"old","stage":"adapter","where":{},"drop":"specialized-01","per_seed":true})"));
}

TEST(Elsewhere, AFolderIsTheMemberAndNoNeed) {
  const Plan plan = fusions("from: [{a: adapters/a}, 'sweep:old/adapter']");
  ASSERT_EQ(plan.jobs.size(), 2u);
  const Job& job = plan.jobs[0];
  ASSERT_EQ(job.needs.size(), 1u);
  EXPECT_EQ(job.needs[0].name, "b");
  ASSERT_EQ(job.folders.size(), 1u);
  EXPECT_EQ(job.folders[0].name, "a");
  EXPECT_EQ(job.folders[0].path, "adapters/a");
  EXPECT_EQ(job.settings.whole().at("from")[1], json::parse(R"({"name":"a","folder":"adapters/a"})"));
  EXPECT_NE(fusions("from: [{a: adapters/c}, 'sweep:old/adapter']").jobs[0].id, job.id);
  EXPECT_TRUE(fusions("from: {a: adapters/a, b: adapters/b}").jobs[0].needs.empty());
}

TEST(Elsewhere, MembersOfTheFileGiveTheirSeedsToFusionsWithFolders) {
  const Plan plan = planned(
      file_with("seeds: [4, 5, 6]\nstages:\n  adapter: {}\n  fusion: {needs: {from: [{b: adapters/b}, adapter]}, sets: "
                "[[b, a]], targets: [a]}\n"));
  ASSERT_EQ(plan.stages[1].count, 3u);
  const Job& last = plan.jobs.back();
  EXPECT_EQ(last.seed, 6);
  EXPECT_EQ(plan.jobs[last.needs.at(0).contenders.at(0).jobs.at(last.needs[0].seed_place)].seed, 6);
}

TEST(Elsewhere, ContendersAreSettingsThatMeetWhatIsAsked) {
  const Plan plan = other();
  std::string why;
  const auto all = found(plan, {"old", "adapter", json::object(), "a", "", {}}, why);
  ASSERT_EQ(all.size(), 4u);
  for (const Contender& contender : all) EXPECT_EQ(contender.jobs.size(), 2u);
  EXPECT_EQ(found(plan, {"old", "adapter", json::object(), "b", "specialized-01", {}}, why).size(), 2u);
  EXPECT_EQ(found(plan, {"old", "adapter", json::parse(R"({"param.train.lr":[["in",[2]]]})"), "a", "", {}}, why).size(),
            2u);
  EXPECT_EQ(found(plan, {"old", "adapter", json::parse(R"({"recipe":[["in",["fast"]]]})"), "a", "", {}}, why).size(),
            4u);
  const auto seeded = found(plan, {"old", "adapter", json::object(), "a", "", 5}, why);
  ASSERT_EQ(seeded.size(), 4u);
  EXPECT_EQ(plan.jobs[seeded[0].jobs.at(0)].seed, 5);
  EXPECT_EQ(why, "");
}

TEST(Elsewhere, SaysWhatIsNotThere) {
  const Plan plan = other();
  std::string why;
  EXPECT_TRUE(found(plan, {"old", "adapters", json::object(), "a", "", {}}, why).empty());
  EXPECT_EQ(why, "sweep old has no adapter stage 'adapters'");
  EXPECT_TRUE(found(plan, {"old", "fusion", json::object(), "a", "", {}}, why).empty());
  EXPECT_EQ(why, "sweep old has no adapter stage 'fusion'");
  EXPECT_TRUE(found(plan, {"old", "adapter", json::object(), "c", "robust-all", {}}, why).empty());
  EXPECT_EQ(why, "sweep:old/adapter has no adapter for 'c' with drop robust-all");
  EXPECT_TRUE(found(plan, {"old", "adapter", json::parse(R"({"recipe":[["in",["hf"]]]})"), "a", "", {}}, why).empty());
  EXPECT_THAT(why, HasSubstr("that meets `where`"));
}

// Three seeds each: by mean the first wins, by median the second, by min the third, by max the first.
TEST(NeedsStat, SaysWhatSettingsCompeteBy) {
  const std::vector<double> values = {0.9, 0.1, 0.8, 0.5, 0.82, 0.3, 0.45, 0.44, 0.46};
  const auto chosen = [&](const std::string& stat, const std::string& goal) {
    const Plan plan = planned(file_with("objective: {goal: " + goal +
                                        "}\nparameters: {lr: [1, 2, 3]}\nseeds: [1, 2, 3]\nstages:\n  adapter: {}\n  "
                                        "fusion: {needs: {from: adapter, stat: " +
                                        stat + "}, sets: [[a]]}\n"));
    const Need& need = plan.jobs.back().needs.at(0);
    const auto choice = select(need, [&](JobIndex job) { return JobResult{Outcome::succeeded, values.at(job)}; });
    const auto& best = std::get<Chosen>(choice);
    return std::pair(best.job / 3, best.mean);
  };
  EXPECT_EQ(chosen("mean", "maximize"), std::pair(0u, (0.9 + 0.1 + 0.8) / 3));
  EXPECT_EQ(chosen("median", "maximize"), std::pair(0u, 0.8));
  EXPECT_EQ(chosen("min", "maximize"), std::pair(2u, 0.44));
  EXPECT_EQ(chosen("max", "maximize"), std::pair(0u, 0.9));
  EXPECT_EQ(chosen("median", "minimize"), std::pair(2u, 0.45));
  EXPECT_EQ(chosen("max", "minimize"), std::pair(2u, 0.46));
  EXPECT_EQ(chosen("min", "minimize"), std::pair(0u, 0.1));
}

TEST(NeedsStat, MedianOfAnEvenNumberIsBetweenTheTwo) {
  const Plan plan = planned(file_with(
      "seeds: 1..4\nstages:\n  adapter: {}\n  fusion: {needs: {from: adapter, stat: median}, sets: [[a]]}\n"));
  const std::vector<double> values = {4, 1, 3, 8};
  const auto choice = select(plan.jobs.back().needs.at(0), [&](JobIndex job) {
    return JobResult{Outcome::succeeded, values.at(job)};
  });
  EXPECT_EQ(std::get<Chosen>(choice).mean, 3.5);
}

TEST(NeedsStat, IsInTheIdentityWhereItMatters) {
  const auto id = [](const std::string& stat) {
    return planned(file_with("seeds: [1, 2]\nstages:\n  adapter: {}\n  fusion: {needs: {from: adapter, stat: " + stat +
                             "}, sets: [[a]]}\n"))
        .jobs.back()
        .id;
  };
  EXPECT_NE(id("median"), id("mean"));
  EXPECT_EQ(
      planned(file_with("seeds: [1, 2]\nstages:\n  adapter: {}\n  fusion: {needs: {from: adapter}, sets: [[a]]}\n"))
          .jobs.back()
          .id,
      id("mean"));
}

}  // namespace
}  // namespace fathom::sweeps::testing
