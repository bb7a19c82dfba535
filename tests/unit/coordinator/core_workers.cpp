// Workers that are lost, come back, are adopted, drain and leave; leases on the monotonic clock.
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

struct CoreWorkers : ::testing::Test {
  void submit(int jobs) {
    Planner make;
    make.stage("adapter", Kind::adapter);
    for (int i = 0; i < jobs; ++i) make.adapter("t" + std::to_string(i));
    rig.submit(make.plan);
  }
  Rig rig;
};

TEST_F(CoreWorkers, AHeartbeatRenewsEveryLeaseThatIsHeld) {
  FakeWorker& worker = rig.worker("w", {2});
  submit(2);
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(worker.beat().events.empty());
    rig.tick(Millis(10'000));
  }
  EXPECT_EQ(rig.count(Phase::leased), 2u);
  rig.tick(Millis(4'999));
  EXPECT_EQ(rig.count(Phase::leased), 2u);
  rig.tick(Millis(1));
  EXPECT_EQ(rig.logged(event::Event::kLeaseExpired), 2u);
}

TEST_F(CoreWorkers, ALostLeaseGivesTheJobToAnotherWorkerWithoutCountingAFailure) {
  FakeWorker& first = rig.worker("first");
  submit(1);
  const JobNumber job = rig.number(0);
  first.started(job);
  FakeWorker& second = rig.worker("second");
  rig.tick(Millis(10'000));
  first.gone();
  EXPECT_EQ(rig.phase(0), Phase::running);  // loss of contact is not loss of the job
  rig.tick(Millis(5'000));
  EXPECT_EQ(rig.phase(0), Phase::backoff);
  rig.tick(Millis(0));
  EXPECT_EQ(rig.phase(0), Phase::leased);
  EXPECT_TRUE(second.holds(job));
  EXPECT_EQ(rig.job(0).attempt, 2u);
  EXPECT_EQ(rig.job(0).failures, 0u);
}

TEST_F(CoreWorkers, LossesInARowWaitLongerUntilACheckpointShowsProgress) {
  Rig own;
  Planner make;
  make.stage("adapter", Kind::adapter).adapter("mr");
  FakeWorker& worker = own.worker("w");
  own.submit(make.plan);
  const JobNumber job = own.number(0);
  const auto lose = [&] {
    own.tick(Millis(15'000));
    return std::get<Backoff>(own.job(0).state).delay_ms;
  };
  const auto wake = [&] { own.tick(Millis(400'000)); };
  EXPECT_EQ(lose(), 0);
  wake();
  EXPECT_NEAR(static_cast<double>(lose()), 1000, 200);
  wake();
  EXPECT_NEAR(static_cast<double>(lose()), 2000, 400);
  wake();
  ASSERT_TRUE(worker.holds(job));
  worker.started(job);
  worker.checkpoint(job, 1, "c");
  EXPECT_EQ(lose(), 0);
}

TEST_F(CoreWorkers, AWorkerThatComesBackKeepsWhatItHolds) {
  FakeWorker& worker = rig.worker("w", {1});
  submit(1);
  const JobNumber job = rig.number(0);
  worker.started(job);
  const Fence before = worker.held[job].fence;
  worker.gone();
  rig.tick(Millis(14'000));
  const Step step = worker.join();
  EXPECT_TRUE(std::get<Joined>(step.answer).abandon.empty());
  EXPECT_EQ(worker.held.at(job).fence, before);
  EXPECT_EQ(rig.phase(0), Phase::running);
  rig.tick(Millis(14'000));  // a full term from the hello on
  EXPECT_EQ(rig.phase(0), Phase::running);
}

TEST_F(CoreWorkers, WhatAWorkerNoLongerHoldsIsGivenOutAgainAtOnce) {
  FakeWorker& worker = rig.worker("w", {1});
  submit(1);
  const JobNumber job = rig.number(0);
  worker.started(job);
  worker.held.clear();  // it was killed and started again
  worker.gone();
  worker.join();
  EXPECT_EQ(rig.logged(event::Event::kLeaseReleased), 1u);
  EXPECT_EQ(worker.held.at(job).fence.attempt, 2u);
  EXPECT_EQ(rig.job(0).failures, 0u);
}

TEST_F(CoreWorkers, AnAttemptThatWentToAnotherIsAbandoned) {
  FakeWorker& first = rig.worker("first");
  submit(1);
  const JobNumber job = rig.number(0);
  const Fence old = first.held.at(job).fence;
  first.gone();
  rig.tick(Millis(15'000));
  rig.tick(Millis(0));
  rig.worker("second");
  const Step step = first.join();
  EXPECT_EQ(std::get<Joined>(step.answer).abandon, (std::vector<Fence>{old}));
  EXPECT_FALSE(first.holds(job));
}

TEST_F(CoreWorkers, AHeartbeatWithAnAttemptOfAnotherIsToldThatItIsLost) {
  FakeWorker& first = rig.worker("first");
  submit(1);
  const JobNumber job = rig.number(0);
  const Hand old = first.held.at(job);
  rig.tick(Millis(15'000));  // connected, but silent
  EXPECT_EQ(first.stops.at(job), "lost");
  FakeWorker& second = rig.worker("second");
  rig.tick(Millis(0));
  const bool again = first.holds(job) || second.holds(job);
  EXPECT_TRUE(again);
  first.stops.clear();
  rig.give(Heartbeat{first.number, {{old.fence, true}}});
  EXPECT_EQ(first.stops.at(job), "lost");
  EXPECT_TRUE(rig.give(Heartbeat{WorkerNumber(9), {}}).rejection);
}

TEST_F(CoreWorkers, AJobThatIsHandedBackGoesToAnotherWorkerAndTheFirstGetsNoMore) {
  FakeWorker& first = rig.worker("first");
  submit(2);
  const JobNumber job = rig.number(0);
  first.started(job);
  first.checkpoint(job, 1, "c1");
  first.stopped(job, 0.5);  // nobody asked: it shuts down
  EXPECT_EQ(rig.phase(0), Phase::ready);
  EXPECT_EQ(rig.state().workers[0].state, WorkerState::draining);
  EXPECT_TRUE(first.held.empty());
  FakeWorker& second = rig.worker("second");
  EXPECT_EQ(second.held.at(job).assign.resume->file.sha256, "c1");
  EXPECT_EQ(rig.job(0).failures, 0u);
  first.gone(true);
  first.join();
  EXPECT_EQ(rig.state().workers[0].state, WorkerState::ready);
  EXPECT_TRUE(first.holds(rig.number(1)));
}

TEST_F(CoreWorkers, AWorkerThatLeavesForGoodReleasesItsLeasesAtOnce) {
  FakeWorker& first = rig.worker("first", {2});
  submit(2);
  first.gone(true);
  EXPECT_EQ(rig.count(Phase::ready), 2u);
  EXPECT_TRUE(rig.state().leases.empty());
  EXPECT_TRUE(rig.give(WorkerGone{first.number, true}).events.empty());
}

TEST_F(CoreWorkers, HellosThatMakeNoSenseAreRefused) {
  const Device device{"cpu:0", "cpu", 1, 1, "", 0};
  const Device no_slot{"cpu:1", "cpu", 1, 0, "", 0};
  for (const WorkerHello& hello : {WorkerHello{"", "n", {device}, {}}, WorkerHello{"u", "n", {}, {}},
                                   WorkerHello{"u", "n", {device, device}, {}}, WorkerHello{"u", "n", {no_slot}, {}}}) {
    const Step step = rig.give(hello);
    ASSERT_TRUE(step.rejection);
    EXPECT_EQ(step.rejection->code, Errc::invalid_argument);
    EXPECT_TRUE(step.events.empty());
  }
}

TEST_F(CoreWorkers, ADeviceThatIsGoneGivesItsJobsBack) {
  FakeWorker& worker = rig.worker("w", {1, 1});
  submit(2);
  const JobNumber second = rig.number(1);
  EXPECT_EQ(worker.held.at(second).assign.device, "cpu:1");
  worker.gone();
  worker.devices.pop_back();
  const Step step = worker.join();
  EXPECT_EQ(std::get<Joined>(step.answer).abandon.size(), 1u);
  EXPECT_EQ(rig.phase(0), Phase::leased);
  EXPECT_EQ(rig.phase(1), Phase::ready);
}

TEST_F(CoreWorkers, FewerSlotsThanBeforeKeepOnlySoManyJobs) {
  FakeWorker& worker = rig.worker("w", {3});
  submit(3);
  worker.gone();
  worker.devices[0].slots = 1;
  const Step step = worker.join();
  EXPECT_EQ(std::get<Joined>(step.answer).abandon.size(), 2u);
  EXPECT_EQ(rig.count(Phase::leased), 1u);
}

TEST_F(CoreWorkers, ARestartGivesEveryLeaseOneNewTermAndAdoptsWhatIsRunning) {
  FakeWorker& worker = rig.worker("w");
  submit(1);
  const JobNumber job = rig.number(0);
  worker.started(job);
  const Fence before = worker.held.at(job).fence;
  rig.tick(Millis(14'000));
  rig.restart();
  EXPECT_EQ(rig.state().epoch, 2u);
  EXPECT_EQ(rig.state().workers[0].state, WorkerState::gone);
  rig.tick(Millis(14'000));
  EXPECT_EQ(rig.phase(0), Phase::running);
  worker.join();
  worker.report(job, 1, 0.5);
  worker.finish(job, 0.6);
  EXPECT_EQ(worker.acks.back().fence, before);
  EXPECT_EQ(rig.phase(0), Phase::succeeded);
  EXPECT_EQ(rig.logged(event::Event::kLeaseGranted), 1u);
}

TEST_F(CoreWorkers, AnAssignmentThatWasNeverSentIsMadeAgainWithOneMoreAttempt) {
  FakeWorker& worker = rig.worker("w");
  submit(1);
  worker.held.clear();  // the coordinator was killed between the commit and the send
  rig.restart();
  worker.join();
  EXPECT_EQ(worker.held.at(rig.number(0)).fence.attempt, 2u);
  EXPECT_EQ(rig.logged(event::Event::kLeaseGranted), 2u);
}

TEST_F(CoreWorkers, JumpsOfTheWallClockDoNotTouchLeasesOrWaits) {
  FakeWorker& worker = rig.worker("w");
  submit(1);
  const JobNumber job = rig.number(0);
  worker.started(job);
  rig.now.wall += std::chrono::hours(24);
  rig.tick(Millis(100));
  EXPECT_EQ(rig.phase(0), Phase::running);
  worker.fail(job, "disk");
  ASSERT_EQ(rig.phase(0), Phase::backoff);
  rig.now.wall -= std::chrono::hours(48);
  rig.tick(Millis(1'200));
  EXPECT_EQ(rig.phase(0), Phase::leased);
  worker.fail(job, "disk");
  const std::int64_t delay = std::get<Backoff>(rig.job(0).state).delay_ms;
  rig.now.wall -= std::chrono::hours(48);
  rig.restart();
  EXPECT_LE(*rig.core->next_deadline() - rig.now.mono, Millis(delay));
}

// Row 17.
TEST_F(CoreWorkers, AnUnfitWorkerKeepsItsJobsAndGetsNoMoreUntilItIsFit) {
  FakeWorker& worker = rig.worker("w", {2});
  submit(1);
  worker.started(rig.number(0));
  EXPECT_EQ(worker.beat("its disk is full").events.size(), 1u);
  EXPECT_TRUE(worker.beat("its disk is full").events.empty()) << "said once";
  submit(1);
  EXPECT_EQ(rig.phase(0), Phase::ready);
  EXPECT_NE(explain(rig.state(), rig.job(0)).find("its disk is full"), std::string::npos);
  EXPECT_EQ(phase_of(rig.state().sweeps.front().jobs.front()), Phase::running);
  rig.take_snapshot();
  rig.restart();
  worker.join();
  EXPECT_EQ(rig.phase(0), Phase::leased) << "a hello that says nothing of it is fit";
  worker.beat("its disk is full");
  submit(1);
  EXPECT_EQ(rig.phase(0), Phase::ready);
  EXPECT_EQ(worker.finish(JobNumber(1), 0.5).rejection, std::nullopt) << "what it has it may end";
  worker.beat();
  EXPECT_EQ(rig.phase(0), Phase::leased);
}

// A worker that hands its jobs back because it ends does not become ready by a heartbeat.
TEST_F(CoreWorkers, AHeartbeatDoesNotEndADrain) {
  FakeWorker& worker = rig.worker("w");
  submit(1);
  worker.started(rig.number(0));
  worker.send(rig.number(0), item::Stopped{});
  worker.held.clear();
  worker.beat();
  EXPECT_EQ(rig.state().workers.front().state, WorkerState::draining);
  EXPECT_EQ(rig.phase(0), Phase::ready);
}

TEST_F(CoreWorkers, TheNextDeadlineIsThatOfTheLease) {
  EXPECT_FALSE(rig.core->next_deadline());
  rig.worker("w");
  submit(1);
  EXPECT_EQ(*rig.core->next_deadline(), rig.now.mono + Millis(15'000));
}

}  // namespace
}  // namespace fathom::core::test
