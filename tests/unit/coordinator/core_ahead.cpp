// Leases ahead of need: who gets how many, and that nothing is lost or run twice by them.
#include <algorithm>

#include "coordinator/core/run_ahead.hpp"
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

sweeps::Plan of_jobs(int count, const std::string& name = "jobs") {
  Planner make;
  make.plan.name = name;
  make.stage("adapter", sweeps::Kind::adapter);
  for (int i = 0; i < count; ++i) make.adapter("a", 0.001 * (i + 1));
  return make.plan;
}

struct CoreAhead : ::testing::Test {
  // Trains a job that the worker holds for so long.
  void train(FakeWorker& worker, JobNumber job, Millis time) {
    worker.started(job);
    rig.tick(time);
    worker.finish(job, 0.5);
  }
  void train_first(FakeWorker& worker, Millis time) { train(worker, worker.jobs().front(), time); }
  // The worker is there meanwhile.
  void wait(FakeWorker& worker, Millis time) {
    for (Millis passed(0); passed < time; passed += Millis(1000)) {
      rig.tick(Millis(1000));
      worker.beat();
    }
  }
  std::size_t active() const { return rig.sweep().active.size(); }

  Rig rig;
};

TEST_F(CoreAhead, WhatIsKnownToBeShortWaitsBehindWhatRuns) {
  rig.submit(of_jobs(40));
  FakeWorker& worker = rig.worker("w", {2}, 8);
  EXPECT_EQ(active(), 2u) << "nobody knows how long they take";
  train_first(worker, Millis(20));
  EXPECT_EQ(active(), 2u + 5u) << "2 slots x 50 ms of jobs of 20 ms";
  const Job& waiting = rig.job(6);
  EXPECT_EQ(phase_of(waiting), Phase::leased);
  EXPECT_NE(explain(rig.state(), waiting).find("waits for one of the jobs that run there"), std::string::npos);
  worker.started(rig.number(6));  // it has its slot
  EXPECT_EQ(explain(rig.state(), rig.job(6)).find("waits"), std::string::npos);
}

TEST_F(CoreAhead, NoMoreThanTheWorkerKeeps) {
  rig.submit(of_jobs(80));
  FakeWorker& worker = rig.worker("w", {1}, 3);
  train_first(worker, Millis(0));
  EXPECT_EQ(active(), 1u + 3u);
  rig.worker("old", {1});
  rig.tick(Millis(0));
  EXPECT_EQ(active(), 1u + 3u + 1u) << "one that knows nothing of it has its slots only";
}

TEST_F(CoreAhead, OneWaitsWhereJobsTakeSecondsAndNoneWhereTheyTakeLong) {
  rig.submit(of_jobs(40));
  FakeWorker& worker = rig.worker("w", {1}, 8);
  train_first(worker, Millis(3000));
  EXPECT_EQ(active(), 2u);
  const JobNumber running = worker.jobs().front();
  worker.started(running);
  wait(worker, Millis(100'000));
  worker.finish(running, 0.5);  // the mean follows
  EXPECT_GT(rig.sweep().took_us[0], kAheadLongestUs);
  EXPECT_EQ(active(), 1u);
}

TEST_F(CoreAhead, NearTheEndSlotsAreFedFromTheQueue) {
  rig.submit(of_jobs(12));
  FakeWorker& one = rig.worker("one", {2}, 8);
  FakeWorker& other = rig.worker("other", {2}, 8);
  train_first(one, Millis(1));
  // 4 slots and 11 jobs: as many wait in the queue as are given out.
  EXPECT_EQ(active(), 6u);
  EXPECT_EQ(rig.sweep().ready.size(), 5u);
  while (rig.sweep().outcome.empty()) {
    EXPECT_TRUE(rig.sweep().ready.empty() || (!one.jobs().empty() && !other.jobs().empty()));
    FakeWorker& next = one.jobs().size() >= other.jobs().size() ? one : other;
    train_first(next, Millis(1));
  }
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_EQ(rig.logged(event::Event::kLeaseGranted), 12u);
}

TEST_F(CoreAhead, NothingIsPromisedWhileAnotherSweepWantsSlots) {
  const SweepNumber first = rig.submit(of_jobs(40, "first"));
  FakeWorker& worker = rig.worker("w", {2}, 8);
  train_first(worker, Millis(20));
  const std::size_t promised = rig.state().sweep(first)->active.size();
  ASSERT_GT(promised, 2u);
  const SweepNumber second = rig.submit(of_jobs(40, "second"));
  while (rig.state().sweep(second)->active.empty()) train_first(worker, Millis(20));
  EXPECT_EQ(rig.state().sweep(first)->active.size(), 1u) << "each has a slot, and nothing waits";
}

TEST_F(CoreAhead, WhatWaitsIsCancelledLikeWhatRuns) {
  const SweepNumber sweep = rig.submit(of_jobs(40));
  FakeWorker& worker = rig.worker("w", {1}, 8);
  train_first(worker, Millis(10));
  const auto held = worker.jobs();
  ASSERT_GT(held.size(), 2u);
  rig.give(CancelSweep{sweep});
  EXPECT_EQ(worker.stops.size(), held.size());
  for (const JobNumber job : held) worker.send(job, item::Stopped{});
  EXPECT_EQ(rig.count(Phase::cancelled), 39u);
}

TEST_F(CoreAhead, ALostWorkersJobsRunElsewhere) {
  rig.submit(of_jobs(20));
  FakeWorker& worker = rig.worker("w", {1}, 4);
  train_first(worker, Millis(10));
  const std::size_t held = worker.jobs().size();
  ASSERT_EQ(held, 5u);
  worker.gone();
  FakeWorker& other = rig.worker("other", {1});
  for (int i = 0; i < 200 && rig.sweep().outcome.empty(); ++i) {
    rig.tick(Millis(5000));
    other.beat();
    if (!other.jobs().empty()) train_first(other, Millis(10));
  }
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_EQ(rig.logged(event::Event::kJobFinished), 20u);
}

TEST_F(CoreAhead, LeasesAreTakenUpAgainAndTimesSurviveARestart) {
  rig.submit(of_jobs(40));
  FakeWorker& worker = rig.worker("w", {1}, 4);
  train_first(worker, Millis(10));
  const std::size_t held = active();
  ASSERT_EQ(held, 5u);
  rig.take_snapshot();
  rig.restart();
  worker.join();
  EXPECT_EQ(worker.jobs().size(), held);
  train_first(worker, Millis(10));
  EXPECT_EQ(active(), held);
  worker.devices[0].ahead = 1;  // configured anew
  worker.join(true);
  EXPECT_EQ(active(), 2u) << "what has no room any more is given up";
}

TEST_F(CoreAhead, ASuspectHasItsDeviceToItself) {
  rig.submit(of_jobs(40));
  FakeWorker& worker = rig.worker("w", {2}, 4);
  train_first(worker, Millis(10));
  ASSERT_GT(active(), 2u);
  worker.fail(worker.jobs().front(), "crash");
  const std::size_t before = active();
  wait(worker, Millis(60'000));  // until it may be tried again
  EXPECT_FALSE(rig.sweep().ready_alone.empty());
  EXPECT_LE(active(), before) << "nothing more is given out: the device is to become empty";
  while (rig.sweep().outcome.empty()) train_first(worker, Millis(10));  // the rig checks who shares
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
}

TEST_F(CoreAhead, AClockThatIsSetBackSaysNothing) {
  rig.submit(of_jobs(40));
  FakeWorker& worker = rig.worker("w", {1}, 4);
  worker.started(worker.jobs().front());
  rig.now.wall -= Millis(3'600'000);
  worker.finish(worker.jobs().front(), 0.5);
  EXPECT_EQ(rig.sweep().took_us[0], -1);
  EXPECT_EQ(active(), 1u);
}

}  // namespace
}  // namespace fathom::core::test
