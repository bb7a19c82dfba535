// How many jobs a file makes: the numbers that docs and paper state.
#include <set>

#include <gmock/gmock.h>

#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Counts, QuickstartMakes66Jobs) {
  const Plan plan = planned_file(source_dir() / "configs/sweeps/quickstart.yaml", 6);
  EXPECT_THAT(counts(plan), ElementsAre(36, 3, 6, 12, 9));
  EXPECT_EQ(plan.jobs.size(), 66u);
}

TEST(Counts, KillSweepMakes4Jobs) {
  const Plan plan = planned_file(source_dir() / "configs/sweeps/kill.yaml", 6);
  EXPECT_THAT(counts(plan), ElementsAre(3, 1));
  for (const Stage& stage : plan.stages) EXPECT_FALSE(stage.stop.has_value());
}

TEST(Counts, WholeFileMakes606Jobs) {
  const Plan plan = planned_file(source_dir() / "tests/golden/sweeps/glue-depths.yaml", 12);
  EXPECT_THAT(counts(plan), ElementsAre(288, 6, 9, 303));
}

TEST(Counts, PaperFigure2Makes312Trainings) {
  const Plan plan = planned_file(source_dir() / "configs/sweeps/paper-figure2.yaml", 12);
  EXPECT_THAT(counts(plan), ElementsAre(312, 312));
}

TEST(Counts, PaperFigures4And5) {
  const Plan plan = planned_file(source_dir() / "configs/sweeps/paper-figure45.yaml", 12);
  EXPECT_THAT(counts(plan), ElementsAre(24, 12, 42, 12, 42, 24));
}

TEST(Counts, AdaptersOfFigures4And5AreThoseOfFigure2) {
  const Plan first = planned_file(source_dir() / "configs/sweeps/paper-figure2.yaml");
  const Plan second = planned_file(source_dir() / "configs/sweeps/paper-figure45.yaml");
  std::set<JobId> known;
  for (const Job& job : first.jobs) known.insert(job.id);
  for (JobIndex i = 0; i < second.stages[0].count; ++i) EXPECT_TRUE(known.contains(second.jobs[i].id)) << i;
}

TEST(Counts, PaperTables1To3AreBenchmarks) {
  // Shapes x measures x subjects; baselines are among the subjects, but for the passes of table 2 by themselves.
  EXPECT_THAT(counts(planned_file(source_dir() / "configs/sweeps/paper-table1.yaml", 12)), ElementsAre(16 * 2 * 3));
  EXPECT_THAT(counts(planned_file(source_dir() / "configs/sweeps/paper-table2.yaml", 12)), ElementsAre(2 * 4 * 13));
  EXPECT_THAT(counts(planned_file(source_dir() / "configs/sweeps/paper-table3.yaml", 12)), ElementsAre(2 * 8));
}

TEST(Counts, BenchmarksKnowTheirDevicesAndHaveNoObjective) {
  const Plan plan = planned_file(source_dir() / "tests/golden/sweeps/table/benchmark-baselines.yaml", 12);
  for (const Job& job : plan.jobs) {
    const json settings = job.settings.whole();
    EXPECT_EQ(settings.at("device"), job.parameters.at("benchmark.device"));
    EXPECT_FALSE(settings.contains("objective") || settings.contains("task") || settings.contains("seed"));
    EXPECT_EQ(settings.contains("adapter"), job.parameters.at("benchmark.subject") != "finetune");
    const json adapter = settings.value("adapter", json{{"reduction_factor", 8}});
    EXPECT_EQ(adapter.at("reduction_factor"), 8);
    EXPECT_TRUE(job.task.empty() && job.needs.empty());
  }
  const auto refused = expand(parsed(file_with("stages: {benchmark: {subjects: {adapter: {depths: 12}}}}\n")), 12);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("depth 12"));
}

// Of each task the best setting by all its seeds, among those that have the asked configuration and layers.
TEST(Counts, TrainedMembersOfBenchmarks) {
  const auto file = source_dir() / "tests/golden/sweeps/table/benchmark-trained.yaml";
  const Plan plan = planned_file(file, 6);
  const Stage& stage = plan.stages.back();
  // Baselines of both configurations are subjects at depth 0; `parallel` and `separate` are not trained.
  ASSERT_EQ(stage.count, 2u * (1 + 4 + 1) + 2);
  for (JobIndex i = stage.first; i < stage.first + stage.count; ++i) {
    const Job& job = plan.jobs[i];
    const auto& subject = job.parameters.at("benchmark.subject");
    if (subject == "finetune") {
      EXPECT_TRUE(job.needs.empty());
      continue;
    }
    ASSERT_EQ(job.needs.size(), subject == "adapter" ? 1u : 2u) << subject;
    EXPECT_EQ(job.needs.front().name, "a");
    EXPECT_EQ(job.needs.back().name, subject == "adapter" ? "a" : "c");
    for (const Need& need : job.needs) {
      const bool twice = job.parameters.at("benchmark.config") == "double_seq_bn";
      const bool deep = job.drop == "specialized-03";
      EXPECT_EQ(need.contenders.size(), (twice ? 1u : 2u) * (deep && !twice ? 2 : 1)) << subject;
      EXPECT_TRUE(need.best_seed);
      for (const Contender& one : need.contenders) EXPECT_EQ(one.jobs.size(), 2u);
    }
    EXPECT_EQ(job.settings.whole().at("benchmark").at("members_init"), "trained");
    EXPECT_EQ(job.settings.whole().at("from").size(), job.needs.size());
  }
}

TEST(Counts, TooFewTrainedMembersAreSaid) {
  const auto refused = parse(file_with("stages: {adapter: {}, benchmark: {from: adapter, members_init: trained, "
                                       "subjects: {fusion: {members: 100}}}}\n"),
                             {});
  ASSERT_EQ(refused.errors.size(), 1u);
  EXPECT_THAT(refused.errors.front().message, ::testing::StartsWith("from: 100 trained members"));
}

TEST(Counts, IdsAreUniqueAndEveryNeedPointsBack) {
  const Plan plan = planned_file(source_dir() / "tests/golden/sweeps/glue-depths.yaml");
  std::set<JobId> ids;
  for (JobIndex i = 0; i < plan.jobs.size(); ++i) {
    EXPECT_TRUE(ids.insert(plan.jobs[i].id).second) << plan.jobs[i].id.text();
    for (const Need& need : plan.jobs[i].needs) {
      ASSERT_FALSE(need.contenders.empty());
      for (const Contender& contender : need.contenders) {
        ASSERT_FALSE(contender.jobs.empty());
        for (const JobIndex job : contender.jobs) EXPECT_LT(job, i);
      }
    }
  }
}

}  // namespace
}  // namespace fathom::sweeps::testing
