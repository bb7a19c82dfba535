// ASHA that promotes and successive halving in the core: jobs that give their slot back at a rung and come back.
#include "coordinator/core/recheck.hpp"

#include <cmath>
#include <functional>

#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

sweeps::Plan settings(int count, bool promote, int seeds = 1, std::uint32_t eta = 3) {
  Planner make;
  make.stage("adapter", Kind::adapter).stop(eta, 1, 9);
  sweeps::StopRule& rule = *make.plan.stages.back().stop;
  promote ? static_cast<void>(rule.promote = true) : static_cast<void>(rule.method = "halving");
  for (int i = 0; i < count; ++i) {
    for (int seed = 1; seed <= seeds; ++seed) make.adapter("mr", 0.001 * (i + 1), seed);
  }
  return make.plan;
}

struct CorePausing : ::testing::Test {
  void begin(const sweeps::Plan& plan, std::uint32_t slots) {
    worker = &rig.worker("w", {slots});
    rig.submit(plan);
    for (const JobNumber job : worker->jobs()) worker->started(job);
  }
  // One epoch after another of the job until it is asked to pause or has ended.
  void run(sweeps::JobIndex index, double value) {
    const JobNumber job = rig.number(index);
    if (rig.phase(index) == Phase::leased) worker->started(job);
    for (std::uint32_t epoch = rig.job(index).progress->epoch + 1; epoch <= 9 && rig.phase(index) == Phase::running;
         ++epoch) {
      worker->checkpoint(job, epoch, "job-" + std::to_string(index) + "-epoch-" + std::to_string(epoch));
      worker->report(job, epoch, value);
    }
    if (rig.phase(index) == Phase::pausing || rig.phase(index) == Phase::stopping) {
      worker->stopped(job, value);
    } else if (rig.phase(index) == Phase::running) {
      worker->finish(job, value);
    }
  }
  // Everything that the worker holds, until nothing is left.
  void work_off(const std::function<double(sweeps::JobIndex)>& value) {
    for (int round = 0; round < 200 && rig.sweep().outcome.empty(); ++round) {
      for (const JobNumber job : worker->jobs()) {
        if (worker->holds(job)) run(rig.state().job(job)->index, value(rig.state().job(job)->index));
      }
    }
  }
  std::string explained(sweeps::JobIndex index) { return explain(rig.state(), rig.job(index)); }
  Rig rig;
  FakeWorker* worker = nullptr;
};

TEST_F(CorePausing, AJobPausesAtARungAndItsSlotGoesToTheNext) {
  begin(settings(3, true), 1);
  worker->checkpoint(rig.number(0), 1, "first");
  worker->report(rig.number(0), 1, 0.5);
  EXPECT_EQ(rig.phase(0), Phase::pausing);
  EXPECT_EQ(worker->stops.at(rig.number(0)), "pause");
  EXPECT_NE(explained(0).find("Asked to pause"), std::string::npos);
  EXPECT_EQ(rig.phase(1), Phase::ready);
  worker->stopped(rig.number(0), 0.5);
  EXPECT_EQ(rig.phase(0), Phase::paused);
  EXPECT_EQ(explained(0), "Paused at rung 1 of 3 (epoch 1), waits for promotion.");
  EXPECT_EQ(rig.phase(1), Phase::leased);
  EXPECT_EQ(rig.state().workers.front().state, WorkerState::ready);  // it did not hand the job back to shut down
}

TEST_F(CorePausing, ThePromotedOneResumesFromItsCheckpointBeforeFreshOnes) {
  begin(settings(9, true), 1);
  run(0, 0.9);
  run(1, 0.1);
  EXPECT_EQ(rig.phase(2), Phase::leased);
  run(2, 0.2);  // the third entry: one of three goes on
  ASSERT_EQ(rig.phase(0), Phase::leased);
  EXPECT_EQ(worker->held.at(rig.number(0)).assign.resume->file.sha256, "job-0-epoch-1");
  EXPECT_EQ(rig.job(0).attempt, 2u);
  EXPECT_EQ(rig.job(0).failures + rig.job(0).losses, 0u);  // a pause costs no retry
  EXPECT_EQ(rig.phase(3), Phase::ready);
}

TEST_F(CorePausing, APromotingSweepEndsWithItsBestAtFullBudgetAndTheRestStopped) {
  begin(settings(9, true), 2);
  work_off([](sweeps::JobIndex i) { return 0.9 - 0.1 * i; });
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_EQ(rig.phase(0), Phase::succeeded);
  EXPECT_EQ(rig.count(Phase::stopped), 8u);
}

TEST_F(CorePausing, AHalvedSweepEndsWithItsBestAloneAtFullBudget) {
  begin(settings(9, false), 2);
  work_off([](sweeps::JobIndex i) { return 0.1 * i; });
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_EQ(rig.phase(8), Phase::succeeded);
  EXPECT_EQ(rig.count(Phase::stopped), 8u);
}

TEST_F(CorePausing, HalvingWaitsForTheWholeRung) {
  begin(settings(3, false), 3);
  run(0, 0.9), run(1, 0.5);
  EXPECT_EQ(rig.count(Phase::paused), 2u);
  EXPECT_NE(explained(1).find("waits for the other settings of its group"), std::string::npos);
  run(2, 0.7);
  EXPECT_EQ(rig.phase(0), Phase::leased);
  EXPECT_EQ(rig.phase(1), Phase::stopped);
  EXPECT_EQ(rig.phase(2), Phase::stopped);
}

TEST_F(CorePausing, ASettingThatDivergesIsNotWaitedFor) {
  begin(settings(3, false), 3);
  run(0, 0.9), run(1, 0.5);
  worker->report(rig.number(2), 1, std::nan(""));
  ASSERT_EQ(rig.phase(2), Phase::diverged);
  EXPECT_EQ(rig.phase(0), Phase::leased);
  EXPECT_EQ(rig.phase(1), Phase::stopped);
}

TEST_F(CorePausing, ASeedPausesUntilTheOthersOfItsSettingHaveCome) {
  begin(settings(3, true, 2), 6);
  run(0, 0.9);
  EXPECT_EQ(rig.phase(0), Phase::paused);
  EXPECT_EQ(explained(0), "Paused until all seeds of its setting have come as far.");
  for (const sweeps::JobIndex index : {1U, 2U, 3U, 4U}) run(index, 0.5);
  EXPECT_EQ(rig.logged(event::Event::kRungEntered), 2u);
  run(5, 0.4);  // the third setting: 0.7 of the first is the best
  EXPECT_EQ(rig.phase(0), Phase::leased);
  EXPECT_EQ(rig.phase(1), Phase::leased);
  EXPECT_EQ(rig.phase(2), Phase::paused);
}

TEST_F(CorePausing, WhatIsLeftOfASettingThatLostASeedRunsToItsEnd) {
  begin(settings(3, false, 2), 6);
  run(0, 0.9);
  ASSERT_EQ(rig.phase(0), Phase::paused);
  rig.give(CancelJob{rig.number(1)});
  worker->stopped(rig.number(1), 0.1);
  EXPECT_EQ(rig.phase(0), Phase::leased);
  run(0, 0.9);
  EXPECT_EQ(rig.phase(0), Phase::succeeded);
}

TEST_F(CorePausing, ASeedThatSucceededBeforeTheRungIsNotWaitedFor) {
  begin(settings(3, false, 2), 6);
  run(0, 0.9);
  ASSERT_EQ(rig.phase(0), Phase::paused);
  worker->finish(rig.number(1), 0.8);  // train.patience
  EXPECT_EQ(rig.phase(0), Phase::leased);
  work_off([](sweeps::JobIndex i) { return 0.1 * i; });
  EXPECT_EQ(rig.phase(0), Phase::succeeded);
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
}

TEST_F(CorePausing, APausedJobIsCancelledAtOnceAloneAndWithItsSweep) {
  begin(settings(4, true), 2);
  run(0, 0.5), run(1, 0.6);
  rig.give(CancelJob{rig.number(0)});
  EXPECT_EQ(rig.phase(0), Phase::cancelled);
  rig.give(CancelSweep{rig.sweep().number});
  EXPECT_EQ(rig.phase(1), Phase::cancelled);
}

TEST_F(CorePausing, AWorkerThatIsLostWhileItPausesCostsAWaitAndTheJobRestsAfterwards) {
  begin(settings(3, true), 1);
  worker->report(rig.number(0), 1, 0.5);
  ASSERT_EQ(rig.phase(0), Phase::pausing);
  worker->gone();
  rig.tick(Millis(15'000));
  EXPECT_EQ(rig.phase(0), Phase::backoff);
  rig.tick(Millis(60'000));
  EXPECT_EQ(rig.phase(0), Phase::paused);
}

TEST_F(CorePausing, OneThatIsPromotedBeforeItHasPausedGoesOnAfterwards) {
  begin(settings(4, true), 3);
  worker->report(rig.number(0), 1, 0.9);
  worker->report(rig.number(1), 1, 0.1);
  worker->report(rig.number(2), 1, 0.2);  // promotes 0, which is still on its way to a pause
  EXPECT_EQ(rig.phase(0), Phase::pausing);
  worker->stopped(rig.number(0), 0.9);
  EXPECT_EQ(rig.phase(0), Phase::leased);
  EXPECT_EQ(rig.logged(event::Event::kJobResumed), 1u);
}

TEST_F(CorePausing, ARetryComesBackIntoItsGroup) {
  begin(settings(3, false), 3);
  run(0, 0.9), run(1, 0.5);
  worker->fail(rig.number(2), "config");
  EXPECT_EQ(rig.phase(1), Phase::stopped);
  rig.give(RetrySweep{rig.sweep().number});
  run(2, 0.95);                            // the third entry of the rung, and the best of it
  EXPECT_EQ(rig.phase(2), Phase::paused);  // let through there, it waits at the next one
  work_off([](sweeps::JobIndex i) { return i == 2 ? 0.95 : 0.9; });
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
}

TEST_F(CorePausing, RestartsChangeNothingAndEveryDecisionIsMadeAgain) {
  begin(settings(8, true, 2), 3);
  int round = 0;
  work_off([&](sweeps::JobIndex i) {
    if (++round % 5 == 0) rig.take_snapshot();
    if (round % 7 == 0) rig.restart(), worker->join();
    return 0.01 * ((i * 7) % 11);
  });
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  Recheck recheck;
  for (const std::string& bytes : rig.log) {
    event::Event event;
    ASSERT_TRUE(event.ParseFromString(bytes));
    const PlanPtr plan = event.has_sweep_submitted() ? rig.plans.at(event.sweep_submitted().resolved()) : nullptr;
    ASSERT_TRUE(recheck.take(event, plan).ok());
  }
  recheck.end();
  EXPECT_FALSE(recheck.difference()) << recheck.difference()->logged << " | " << recheck.difference()->again;
  EXPECT_GE(rig.logged(event::Event::kPauseWished), 12u);
}

}  // namespace
}  // namespace fathom::core::test
