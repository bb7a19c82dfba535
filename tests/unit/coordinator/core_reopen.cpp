// retry and rerun: jobs that ended without a result begin a new generation; those that have one never do.
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::JobIndex;
using sweeps::Kind;

// Adapters 0, 1, 2; a fusion 3 of the first two; an evaluation 4 of the fusion; 5 of the third adapter.
sweeps::Plan chain(std::uint32_t retries = 0, sweeps::OnMissing on_missing = sweeps::OnMissing::skip) {
  Planner make;
  make.plan.retry.max = retries;
  make.stage("adapter", Kind::adapter);
  for (const char* task : {"a", "b", "c"}) make.adapter(task);
  make.stage("fusion", Kind::fusion);
  auto second = best_of("b", {1});
  second.on_missing = on_missing;
  make.taking("a", {best_of("a", {0}), second});
  make.stage("evaluate", Kind::evaluate);
  make.taking("a", {best_of("source", {3})});
  make.taking("c", {best_of("source", {2})});
  return make.plan;
}

struct CoreReopen : ::testing::Test {
  void begin(const sweeps::Plan& plan, std::uint32_t slots = 1) {
    worker = &rig.worker("w", {slots});
    rig.submit(plan);
  }
  void finish(JobIndex index) {
    worker->started(rig.number(index));
    worker->finish(rig.number(index), 0.5);
  }
  std::uint32_t retry(const std::string& key = "") {
    const Step step = rig.give(RetrySweep{rig.sweep().number, key});
    EXPECT_FALSE(step.rejection.has_value()) << step.rejection->message;
    const auto* answer = std::get_if<Reopened>(&step.answer);
    repeated = answer != nullptr && answer->repeated;
    return answer == nullptr ? 0 : answer->jobs;
  }
  std::string refused(const Command& command) {
    const Step step = rig.give(command);
    return step.rejection ? step.rejection->message : "";
  }
  Rig rig;
  FakeWorker* worker = nullptr;
  bool repeated = false;
};

TEST_F(CoreReopen, WhatFailedAndWhatWasSkippedForItsSakeRunsAgain) {
  begin(chain());
  finish(0);
  worker->fail(rig.number(1), "data");
  finish(2), finish(5);
  EXPECT_EQ(rig.phase(3), Phase::skipped);
  EXPECT_EQ(rig.phase(4), Phase::skipped);
  EXPECT_EQ(rig.sweep().outcome, "failed");
  EXPECT_EQ(retry(), 3u);
  EXPECT_EQ(rig.logged(event::Event::kJobsReopened), 1u);
  EXPECT_TRUE(rig.sweep().outcome.empty());
  EXPECT_EQ(rig.phase(1), Phase::leased);
  EXPECT_EQ(rig.phase(3), Phase::blocked);
  EXPECT_EQ(rig.phase(4), Phase::blocked);
  EXPECT_EQ(rig.job(1).generation, 2u);
  EXPECT_EQ(rig.job(1).attempt, 1u);
  EXPECT_EQ(rig.job(0).generation, 1u);  // has a result
  finish(1), finish(3), finish(4);
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_EQ(rig.count(Phase::succeeded), 6u);
  EXPECT_EQ(retry(), 0u);
}

TEST_F(CoreReopen, TheFilesOfInputsAreThereForTheJobsThatRunAgain) {
  begin(chain());
  finish(0), finish(1), finish(2);
  while (!worker->holds(rig.number(3))) finish(5);
  worker->fail(rig.number(3), "data");
  if (rig.phase(5) != Phase::succeeded) finish(5);
  ASSERT_FALSE(rig.sweep().outcome.empty());
  rig.take_snapshot();
  rig.restart();
  worker->join();
  retry();
  ASSERT_TRUE(worker->holds(rig.number(3)));
  EXPECT_EQ(worker->held[rig.number(3)].assign.fetch.size(), 2u);  // of both members, chosen in the generation before
}

TEST_F(CoreReopen, TheBudgetOfTriesIsFreshAndTheCheckpointIsKept) {
  begin(chain(1), 3);
  finish(1), finish(2), finish(5);
  const JobNumber job = rig.number(0);
  worker->started(job);
  worker->report(job, 1, 0.5);
  worker->checkpoint(job, 1, "c1");
  for (const std::uint32_t generation : {1U, 2U}) {
    for (const std::uint32_t attempt : {1U, 2U}) {
      ASSERT_TRUE(worker->holds(job));
      EXPECT_EQ(worker->held[job].fence.generation, generation);
      EXPECT_EQ(worker->held[job].fence.attempt, attempt);
      EXPECT_EQ(worker->held[job].assign.resume.has_value(), generation + attempt > 2);
      worker->fail(job, "data");
      if (attempt == 1) rig.tick(Millis(400'000));
    }
    EXPECT_EQ(rig.phase(0), Phase::failed);
    EXPECT_EQ(retry(), 3u);  // with the fusion and its evaluation
  }
}

TEST_F(CoreReopen, AKeyThatWasSeenGetsTheSameAnswerAndOpensNothing) {
  begin(chain());
  worker->fail(rig.number(0), "data");
  EXPECT_EQ(retry("k"), 1u);  // the fusion still waits for its other member
  EXPECT_EQ(rig.phase(3), Phase::blocked);
  while (!worker->holds(rig.number(0))) worker->finish(worker->jobs().front(), 0.5);
  worker->fail(rig.number(0), "data");
  rig.take_snapshot();
  rig.restart();
  worker->join();
  EXPECT_EQ(retry("k"), 1u);
  EXPECT_TRUE(repeated);
  EXPECT_EQ(rig.phase(0), Phase::failed);
  EXPECT_GE(retry("l"), 1u);
  EXPECT_FALSE(repeated);
  EXPECT_FALSE(is_terminal(rig.phase(0)));
}

TEST_F(CoreReopen, ItemsOfTheGenerationBeforeAreLate) {
  begin(chain(), 3);
  const JobNumber job = rig.number(0);
  const Fence old = worker->held[job].fence;
  worker->started(job);
  worker->fail(job, "data");
  retry();
  ASSERT_TRUE(worker->holds(job));
  EXPECT_GT(worker->held[job].fence, old);
  const std::size_t late = rig.logged(event::Event::kLateItem);
  const Step step = rig.give(ItemReceived{worker->number, old, 3, item::Report{1, 1, 0.9}});
  EXPECT_FALSE(step.rejection.has_value());
  EXPECT_TRUE(worker->acks.back().late);
  EXPECT_EQ(rig.logged(event::Event::kLateItem), late + 1);
  EXPECT_FALSE(rig.job(0).progress->objective.has_value());
  rig.give(ItemReceived{worker->number, old, 3, item::Report{1, 1, 0.9}});
  EXPECT_EQ(rig.logged(event::Event::kLateItem), late + 1);  // noted once
}

TEST_F(CoreReopen, WhatALimitCancelledGoesOnAndWhatAPersonCancelledDoesNot) {
  Planner make;
  make.plan.retry.max = 0;
  make.plan.limits.failed = 1;
  make.stage("adapter", Kind::adapter);
  for (int i = 0; i < 5; ++i) make.adapter("a", 0.001 * (i + 1));
  begin(make.plan);
  rig.give(CancelJob{rig.number(4)});
  worker->fail(rig.number(0), "data");
  worker->fail(rig.number(1), "data");
  EXPECT_EQ(rig.sweep().outcome, "failed");
  EXPECT_EQ(rig.count(Phase::cancelled), 3u);
  EXPECT_EQ(retry(), 4u);
  EXPECT_FALSE(rig.sweep().cancel_cause.has_value());
  EXPECT_EQ(rig.phase(4), Phase::cancelled);
  for (const JobIndex index : {0U, 1U, 2U, 3U}) finish(index);
  EXPECT_EQ(rig.sweep().outcome, "cancelled");  // one job of it is
}

TEST_F(CoreReopen, TheWallOfASweepThatIsOpenedAgainBeginsAnew) {
  sweeps::Plan plan = chain();
  plan.limits.wall_seconds = 60;
  rig.submit(plan);
  rig.tick(Millis(61'000));
  EXPECT_EQ(rig.sweep().outcome, "failed");
  rig.tick(Millis(3'600'000));
  EXPECT_FALSE(rig.give(ChangeSweep{.sweep = rig.sweep().number, .wall_seconds = 120}).rejection.has_value());
  EXPECT_EQ(retry(), 6u);
  rig.tick(Millis(119'000));
  EXPECT_EQ(rig.phase(0), Phase::ready);
  rig.restart();
  rig.tick(Millis(2'000));
  EXPECT_EQ(rig.phase(0), Phase::cancelled);
}

TEST_F(CoreReopen, AJobThatWaitsForAMissingInputWaitsForItAgain) {
  begin(chain(0, sweeps::OnMissing::wait), 3);
  worker->finish(rig.number(0), 0.5);
  worker->fail(rig.number(1), "data");
  EXPECT_EQ(rig.phase(3), Phase::blocked);
  EXPECT_FALSE(std::get<Blocked>(rig.job(3).state).missing.empty());
  EXPECT_EQ(retry(), 1u);
  EXPECT_TRUE(std::get<Blocked>(rig.job(3).state).missing.empty());
  worker->finish(rig.number(1), 0.5);
  EXPECT_TRUE(worker->holds(rig.number(3)));
}

TEST_F(CoreReopen, AJobThatFailedForTheWantOfAnInputFollowsIt) {
  begin(chain(0, sweeps::OnMissing::fail), 3);
  worker->finish(rig.number(0), 0.5);
  worker->fail(rig.number(1), "diverged");
  EXPECT_EQ(rig.phase(1), Phase::diverged);
  EXPECT_EQ(rig.phase(3), Phase::failed);
  EXPECT_EQ(retry(), 0u);  // it would fail at once again: its member has diverged
  rig.give(RerunJob{rig.number(1)});
  EXPECT_EQ(rig.phase(3), Phase::blocked);
  worker->finish(rig.number(1), 0.5);
  EXPECT_TRUE(worker->holds(rig.number(3)));
}

TEST_F(CoreReopen, AResultIsNeverOverwritten) {
  begin(chain(), 3);
  EXPECT_NE(refused(RerunJob{rig.number(0)}).find("has not ended"), std::string::npos);
  worker->finish(rig.number(0), 0.5);
  EXPECT_NE(refused(RerunJob{rig.number(0)}).find("never overwritten"), std::string::npos);
  worker->fail(rig.number(1), "data");
  EXPECT_NE(refused(RerunJob{rig.number(3)}).find("skipped"), std::string::npos);
  event::Event event;
  event.set_seq(rig.state().seq + 1);
  event.mutable_jobs_reopened()->set_sweep(1);
  event.mutable_jobs_reopened()->add_jobs(1);
  State state = rig.state();
  EXPECT_FALSE(evolve(state, event).ok());
}

TEST_F(CoreReopen, NothingIsOpenedWhileACancelIsOnItsWay) {
  begin(chain());
  worker->fail(rig.number(0), "data");
  rig.give(CancelSweep{rig.sweep().number});
  EXPECT_NE(refused(RetrySweep{rig.sweep().number}).find("being cancelled"), std::string::npos);
  worker->stopped(worker->jobs().front(), 0.5);
  EXPECT_EQ(rig.sweep().outcome, "cancelled");
  EXPECT_EQ(retry(), 1u);
  EXPECT_EQ(rig.phase(1), Phase::cancelled);
  EXPECT_EQ(refused(RerunJob{rig.number(1)}), "");
  EXPECT_FALSE(is_terminal(rig.phase(1)));
}

TEST_F(CoreReopen, AVerdictStands) {
  Planner make;
  make.plan.retry.max = 0;
  make.stage("adapter", Kind::adapter).stop(2, 1, 4);
  for (int i = 0; i < 3; ++i) make.adapter("a", 0.001 * (i + 1));
  begin(make.plan, 3);
  for (const JobNumber job : worker->jobs()) worker->started(job);
  worker->report(rig.number(0), 1, 0.9);
  worker->report(rig.number(1), 1, 0.1);  // below the half
  EXPECT_EQ(rig.phase(1), Phase::stopping);
  worker->stopped(rig.number(1), 0.1);
  EXPECT_NE(refused(RerunJob{rig.number(1)}).find("a verdict stands"), std::string::npos);
  // One that failed before its next rung keeps the values it had: each rung is entered once.
  worker->fail(rig.number(0), "data");
  EXPECT_EQ(retry(), 1u);
  EXPECT_EQ(rig.job(0).progress->rung_values.size(), 1u);
  ASSERT_TRUE(worker->holds(rig.number(0)));
  worker->started(rig.number(0));
  worker->report(rig.number(0), 2, 0.95);
  EXPECT_EQ(rig.job(0).progress->rung_values.size(), 2u);
}

}  // namespace
}  // namespace fathom::core::test
