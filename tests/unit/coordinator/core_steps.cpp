// Stopping methods that count optimizer steps.
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

class CoreSteps : public ::testing::Test {
 protected:
  CoreSteps() : worker(rig.worker("w", {3})) {
    make.stage("adapter", Kind::adapter).stop(2, 10, sweeps::kNoLastStep);
    make.plan.stages.back().stop->by_step = true;
    make.adapter("a", 0.1), make.adapter("a", 0.2);
  }
  void report(sweeps::JobIndex index, std::uint32_t epoch, std::uint64_t step, double value) {
    worker.send(rig.number(index), item::Report{epoch, step, value});
  }

  Rig rig;
  FakeWorker& worker;
  Planner make;
};

TEST_F(CoreSteps, JudgeInsideTheFirstEpoch) {
  rig.submit(make.plan);
  EXPECT_EQ(worker.held.at(rig.number(0)).assign.inputs.find(R"({"rungs":[10,20,40,80,)"), 0u);
  for (const JobNumber job : worker.jobs()) worker.started(job);
  report(0, 0, 10, 0.9), report(1, 0, 10, 0.5);
  EXPECT_EQ(rig.phase(0), Phase::running);
  EXPECT_EQ(rig.phase(1), Phase::stopping);
  EXPECT_NE(explain(rig.state(), rig.job(1)).find("asha: stopped after step 10"), std::string::npos);
}

TEST_F(CoreSteps, TakeEndsOfEpochsAsReportsLikeAnyOther) {
  rig.submit(make.plan);
  for (const JobNumber job : worker.jobs()) worker.started(job);
  report(0, 1, 45, 0.9);  // crosses three rungs at once
  EXPECT_EQ(rig.job(0).progress->rung_values.size(), 3u);
  report(1, 3, 9, 0.1);  // many epochs, few steps
  EXPECT_EQ(rig.job(1).progress->rung_values.size(), 0u);
}

TEST_F(CoreSteps, ValuesByStepsAreNoneOfEpochs) {
  make.plan.cache.use = true;
  make.plan.jobs[0].id = sweeps::JobId(0xa000000000000000), make.plan.jobs[1].id = sweeps::JobId(0xa000000000000001);
  rig.submit(make.plan);
  for (const JobNumber job : worker.jobs()) worker.started(job);
  report(0, 1, 20, 0.9);
  worker.finish(rig.number(0), 0.9), worker.finish(rig.number(1), 0.8);
  make.plan.stages.back().stop->by_step = false;
  rig.submit(make.plan);
  for (const JobNumber job : worker.jobs()) worker.started(job);
  EXPECT_EQ(rig.phase(0), Phase::succeeded);
  EXPECT_TRUE(rig.job(0).progress->rung_values.empty());
}

TEST_F(CoreSteps, SurviveARestart) {
  rig.submit(make.plan);
  for (const JobNumber job : worker.jobs()) worker.started(job);
  report(0, 0, 10, 0.9);
  rig.take_snapshot();
  rig.restart();
  worker.join(true);
  report(1, 0, 12, 0.5);
  EXPECT_EQ(rig.phase(1), Phase::stopping);
}

}  // namespace
}  // namespace fathom::core::test
