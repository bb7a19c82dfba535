// Pause, resume, other limits and priority of a sweep that runs; all of it survives a restart, by log and by snapshot.
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

sweeps::Plan of_jobs(int count, const std::string& name = "test") {
  Planner make;
  make.plan.name = name;
  make.stage("adapter", sweeps::Kind::adapter);
  for (int i = 0; i < count; ++i) make.adapter("a", 0.001 * (i + 1));
  return make.plan;
}

struct CoreChange : ::testing::Test {
  Step change(ChangeSweep change) {
    change.sweep = rig.sweep().number;
    return rig.give(change);
  }
  std::size_t changes() const { return rig.logged(event::Event::kSweepChanged); }
  void finish(sweeps::JobIndex index) {
    worker->started(rig.number(index));
    worker->finish(rig.number(index), 0.5);
  }
  Rig rig;
  FakeWorker* worker = nullptr;
};

TEST_F(CoreChange, APausedSweepStartsNothingUntilItIsResumed) {
  worker = &rig.worker("w", {1});
  rig.submit(of_jobs(3));
  change({.sweep = {}, .paused = true});
  change({.sweep = {}, .paused = true});  // again: nothing to say
  EXPECT_EQ(changes(), 1u);
  EXPECT_EQ(rig.phase(0), Phase::leased);  // goes on
  finish(0);
  EXPECT_EQ(rig.phase(0), Phase::succeeded);
  EXPECT_EQ(rig.phase(1), Phase::ready);
  EXPECT_NE(explain(rig.state(), rig.job(1)).find("fathom resume test"), std::string::npos);
  rig.submit(of_jobs(1, "other"));  // the slot is not kept for it
  EXPECT_EQ(rig.phase(0), Phase::leased);
  finish(0);
  for (const bool from_snapshot : {false, true}) {
    if (from_snapshot) rig.take_snapshot();
    rig.restart();
    worker->join();
    EXPECT_TRUE(rig.state().leases.empty()) << from_snapshot;
  }
  rig.give(ChangeSweep{SweepNumber(1), false});
  EXPECT_EQ(phase_of(*rig.state().job(JobNumber(2))), Phase::leased);
}

TEST_F(CoreChange, AnAttemptThatFailsInAPausedSweepWaitsWithTheRest) {
  worker = &rig.worker("w", {1});
  rig.submit(of_jobs(2));
  worker->started(rig.number(0));
  change({.sweep = {}, .paused = true});
  worker->fail(rig.number(0), "data");
  rig.tick(Millis(60'000));
  EXPECT_EQ(rig.phase(0), Phase::ready);
  change({.sweep = {}, .paused = false});
  EXPECT_EQ(rig.phase(0), Phase::leased);
}

TEST_F(CoreChange, PausedNowWhatRunsIsHandedBackAndGoesOnFromItsCheckpoint) {
  worker = &rig.worker("w", {1});
  rig.submit(of_jobs(2));
  worker->started(rig.number(0));
  worker->report(rig.number(0), 1, 0.5);
  worker->checkpoint(rig.number(0), 1, std::string(64, 'a'));
  change({.sweep = {}, .paused = true});
  EXPECT_FALSE(worker->stops.contains(rig.number(0)));
  change({.sweep = {}, .paused = true, .now = true});  // of one that is paused already
  EXPECT_EQ(worker->stops[rig.number(0)], "pause");
  change({.sweep = {}, .paused = true, .now = true});  // everybody was asked
  EXPECT_EQ(changes(), 2u);
  worker->stops.clear();
  rig.take_snapshot();
  rig.restart();
  worker->join();
  EXPECT_EQ(worker->stops[rig.number(0)], "pause") << "a worker that comes back is asked again";
  worker->send(rig.number(0), item::Stopped{});
  EXPECT_EQ(rig.phase(0), Phase::ready);
  EXPECT_FALSE(rig.job(0).handing_back);
  EXPECT_EQ(rig.state().worker(worker->number)->state, WorkerState::ready) << "it was not the worker that wanted it";
  const Step resumed = change({.sweep = {}, .paused = false});
  EXPECT_EQ(rig.phase(0), Phase::leased);
  const auto* again = std::get_if<SendAssign>(&resumed.effects.front());
  ASSERT_NE(again, nullptr);
  EXPECT_EQ(again->resume->epoch, 1u);
  EXPECT_EQ(rig.job(0).failures, 0u);
}

TEST_F(CoreChange, ResumedBeforeItWasHandedBackAJobRunsAgain) {
  worker = &rig.worker("w", {1});
  rig.submit(of_jobs(1));
  worker->started(rig.number(0));
  change({.sweep = {}, .paused = true, .now = true});
  change({.sweep = {}, .paused = false});
  EXPECT_EQ(rig.phase(0), Phase::running);
  worker->send(rig.number(0), item::Stopped{});
  EXPECT_EQ(rig.phase(0), Phase::leased);
  finish(0);
  EXPECT_EQ(rig.phase(0), Phase::succeeded);
  EXPECT_EQ(change({.sweep = {}, .paused = false, .now = true}).rejection->code, Errc::failed_precondition);
}

TEST_F(CoreChange, APausedSweepCanBeCancelledAndEndsWhenWhatRunsEnds) {
  worker = &rig.worker("w", {1});
  rig.submit(of_jobs(2));
  change({.sweep = {}, .paused = true});
  rig.give(CancelSweep{rig.sweep().number});
  worker->stopped(rig.number(0), 0.5);
  EXPECT_EQ(rig.sweep().outcome, "cancelled");
  const Step late = change({.sweep = {}, .paused = false});
  ASSERT_TRUE(late.rejection.has_value());
  EXPECT_EQ(late.rejection->code, Errc::failed_precondition);
}

TEST_F(CoreChange, ConcurrencyThatIsLoweredLetsWhatRunsGoOn) {
  worker = &rig.worker("w", {4});
  rig.submit(of_jobs(6));
  EXPECT_EQ(worker->held.size(), 4u);
  change({.sweep = {}, .concurrency = 2});
  EXPECT_EQ(worker->held.size(), 4u);
  finish(0), finish(1);
  EXPECT_EQ(worker->held.size(), 2u);
  EXPECT_NE(explain(rig.state(), rig.job(4)).find("limits.concurrency"), std::string::npos);
  finish(2);
  EXPECT_EQ(worker->held.size(), 2u);  // one ends, one starts
  change({.sweep = {}, .concurrency = 0});
  EXPECT_EQ(worker->held.size(), 3u);
}

TEST_F(CoreChange, PriorityDecidesWhoIsNext) {
  worker = &rig.worker("w", {1});
  rig.submit(of_jobs(3, "first"));
  rig.submit(of_jobs(2, "second"));
  change({.sweep = {}, .priority = 51});
  worker->started(JobNumber(1));
  worker->finish(JobNumber(1), 0.5);
  EXPECT_TRUE(worker->holds(rig.number(0)));
  EXPECT_TRUE(change({.sweep = {}, .priority = 101}).rejection.has_value());
  EXPECT_EQ(rig.sweep().priority, 51u);
}

TEST_F(CoreChange, LimitsOfTimeHoldFromTheirChangeOn) {
  worker = &rig.worker("w", {1});
  rig.submit(of_jobs(2));
  worker->started(rig.number(0));
  rig.tick(Millis(10'000));
  worker->beat();
  change({.sweep = {}, .job_wall_seconds = 12});
  EXPECT_EQ(rig.phase(0), Phase::running);
  rig.tick(Millis(2'000));
  EXPECT_EQ(rig.phase(0), Phase::limiting);  // counted from its start, not from the change
  change({.sweep = {}, .wall_seconds = 5});  // 12 s are over
  rig.tick(Millis(0));
  EXPECT_EQ(rig.phase(1), Phase::cancelled);
  EXPECT_TRUE(rig.sweep().cancelled_by_limit);
}

TEST_F(CoreChange, TheWallOfASweepStandsStillWhileItIsPaused) {
  sweeps::Plan plan = of_jobs(1);
  plan.limits.wall_seconds = 60;
  rig.submit(plan);
  rig.tick(Millis(40'000));
  change({.sweep = {}, .paused = true});
  rig.tick(Millis(3'600'000));
  EXPECT_EQ(rig.phase(0), Phase::ready);
  rig.restart();
  rig.tick(Millis(1'000));
  EXPECT_EQ(rig.phase(0), Phase::ready);
  change({.sweep = {}, .paused = false});
  rig.tick(Millis(19'000));
  EXPECT_EQ(rig.phase(0), Phase::ready);
  rig.tick(Millis(2'000));
  EXPECT_EQ(rig.phase(0), Phase::cancelled);
}

TEST_F(CoreChange, FailuresBeforeCountTowardALimitThatIsLowered) {
  sweeps::Plan plan = of_jobs(4);
  plan.retry.max = 0;
  worker = &rig.worker("w", {1});
  rig.submit(plan);
  for (const sweeps::JobIndex index : {0U, 1U}) worker->fail(rig.number(index), "data");
  change({.sweep = {}, .failed = 2});
  EXPECT_EQ(rig.phase(3), Phase::ready);
  change({.sweep = {}, .failed = 1});
  EXPECT_EQ(rig.phase(3), Phase::cancelled);
  EXPECT_TRUE(rig.sweep().cancelled_by_limit);
}

TEST_F(CoreChange, ALogThatGrantsInAPausedSweepIsRefused) {
  rig.submit(of_jobs(1));
  change({.sweep = {}, .paused = true});
  rig.worker("w", {1});
  event::Event granted;
  granted.set_seq(rig.state().seq + 1);
  granted.set_job(1);
  auto& lease = *granted.mutable_lease_granted();
  lease.set_worker(1), lease.set_device("cpu:0");
  lease.mutable_fence()->set_job(1), lease.mutable_fence()->set_generation(1), lease.mutable_fence()->set_attempt(1);
  lease.mutable_fence()->set_lease(rig.state().next_lease);
  const Status status = evolve(rig.replica, granted);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("paused"), std::string::npos) << status.error().message;
}

}  // namespace
}  // namespace fathom::core::test
