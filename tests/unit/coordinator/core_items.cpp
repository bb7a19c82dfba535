// Fencing: what is repeated, late, out of order, forged or not possible.
#include <cmath>

#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

struct CoreItems : ::testing::Test {
  CoreItems() {
    Planner make;
    make.stage("adapter", Kind::adapter).adapter("mr");
    worker = &rig.worker("w");
    rig.submit(make.plan);
    job = rig.number(0);
    worker->started(job);
  }
  Rig rig;
  FakeWorker* worker = nullptr;
  JobNumber job;

  ItemReceived report(std::uint64_t sequence, double value = 0.5) {
    return {worker->number, worker->held.at(job).fence, sequence, item::Report{1, 10, value}};
  }
};

TEST_F(CoreItems, ARepeatedItemIsAcknowledgedAndChangesNothing) {
  rig.give(report(2));
  const std::string before = digest(rig.state());
  for (int i = 0; i < 1000; ++i) {
    const Step step = rig.give(report(2, 0.9));
    EXPECT_TRUE(step.events.empty());
    EXPECT_FALSE(step.rejection);
  }
  EXPECT_EQ(digest(rig.state()), before);
  EXPECT_EQ(rig.job(0).progress->objective, 0.5);
  EXPECT_EQ(worker->acks.back().sequence, 2u);
  EXPECT_FALSE(worker->acks.back().late);
}

TEST_F(CoreItems, AnItemBeyondAGapWaitsForTheOnesBefore) {
  const Step step = rig.give(report(4));
  EXPECT_TRUE(step.events.empty());
  ASSERT_TRUE(step.rejection);
  EXPECT_EQ(step.rejection->code, Errc::failed_precondition);
  EXPECT_EQ(worker->acks.back().sequence, 1u);
  rig.give(report(2)), rig.give(report(3)), rig.give(report(4));
  EXPECT_EQ(worker->acks.back().sequence, 4u);
}

TEST_F(CoreItems, TheResultOfAFinishedJobIsStoredOnce) {
  const Fence fence = worker->held.at(job).fence;
  const ItemReceived finished{worker->number, fence, 2, item::Finished{R"({"objective": 0.5})", {}}};
  rig.give(finished);
  for (int i = 0; i < 100; ++i) {
    const Step step = rig.give(finished);
    EXPECT_TRUE(step.events.empty());
    EXPECT_EQ(std::get<SendAck>(step.effects.at(0)).sequence, 2u);
    EXPECT_FALSE(std::get<SendAck>(step.effects.at(0)).late);
  }
  EXPECT_EQ(rig.logged(event::Event::kJobFinished), 1u);
}

TEST_F(CoreItems, ItemsOfAnOldAttemptAreStoredOnceAsLateAndNeverApplied) {
  const Fence old = worker->held.at(job).fence;
  worker->gone();
  rig.tick(Millis(15'000));  // expires: the first loss costs no wait
  rig.tick(Millis(0));
  FakeWorker& second = rig.worker("second");
  ASSERT_EQ(second.held.at(job).fence.attempt, 2u);
  const ItemReceived late{worker->number, old, 2, item::Finished{R"({"objective": 0.9})", {}}};
  worker->connected = true;
  rig.give(late);
  EXPECT_EQ(rig.phase(0), Phase::leased);
  EXPECT_TRUE(worker->acks.back().late);
  EXPECT_EQ(worker->acks.back().sequence, 2u);
  EXPECT_EQ(rig.logged(event::Event::kLateItem), 1u);
  rig.give(late);
  EXPECT_TRUE(worker->acks.back().late);
  EXPECT_EQ(rig.logged(event::Event::kLateItem), 1u);
  second.started(job);
  second.finish(job, 0.4);
  EXPECT_EQ(std::get<Succeeded>(rig.job(0).state).outcome->objective, 0.4);
}

TEST_F(CoreItems, AnItemAfterTheEndOfItsAttemptIsLate) {
  const Fence fence = worker->held.at(job).fence;
  worker->finish(job, 0.5);
  rig.give(ItemReceived{worker->number, fence, 3, item::Stopped{1, 1, "", {}}});
  EXPECT_TRUE(worker->acks.back().late);
  EXPECT_EQ(rig.phase(0), Phase::succeeded);
}

TEST_F(CoreItems, AnAttemptThatWasNeverGivenOutIsRefusedWithoutATrace) {
  FakeWorker& thief = rig.worker("thief");
  const std::string before = digest(rig.state());
  Fence forged = worker->held.at(job).fence;
  forged.attempt = 7;
  Fence unknown{JobNumber(99), 1, 1, LeaseId(1)};
  Fence other_lease = worker->held.at(job).fence;
  other_lease.lease = LeaseId(77);
  for (const Fence& fence : {forged, unknown, other_lease}) {
    const Step step = rig.give(ItemReceived{thief.number, fence, 2, item::Report{1, 1, 0.9}});
    EXPECT_TRUE(step.events.empty());
    ASSERT_TRUE(step.rejection);
    EXPECT_EQ(step.rejection->code, Errc::permission_denied);
    EXPECT_TRUE(thief.acks.back().late);
  }
  EXPECT_EQ(digest(rig.state()), before);
}

TEST_F(CoreItems, AWorkerCannotReportForTheJobOfAnother) {
  FakeWorker& thief = rig.worker("thief");
  const Step step =
      rig.give(ItemReceived{thief.number, worker->held.at(job).fence, 2, item::Finished{R"({"objective": 1})", {}}});
  EXPECT_TRUE(step.events.empty());
  EXPECT_EQ(step.rejection->code, Errc::permission_denied);
  EXPECT_EQ(rig.phase(0), Phase::running);
  EXPECT_TRUE(thief.acks.back().late);
  worker->report(job, 1, 0.5);
  EXPECT_EQ(rig.job(0).progress->objective, 0.5);
}

TEST_F(CoreItems, WhatIsNotPossibleIsPassedOverAndTheNextItemGoesOn) {
  const Step step = worker->started(job);  // twice
  ASSERT_TRUE(step.rejection);
  EXPECT_EQ(rig.logged(event::Event::kLateItem), 1u);
  EXPECT_EQ(worker->acks.back().sequence, 2u);
  EXPECT_FALSE(worker->acks.back().late);
  worker->report(job, 1, 0.5);
  EXPECT_EQ(rig.job(0).progress->objective, 0.5);
}

TEST_F(CoreItems, AnObjectiveThatIsNoNumberEndsTheJobAsDiverged) {
  worker->report(job, 1, std::nan(""));
  EXPECT_EQ(rig.phase(0), Phase::diverged);
  EXPECT_FALSE(rig.job(0).progress->objective);
  EXPECT_EQ(rig.sweep().outcome, "failed");
}

TEST_F(CoreItems, AResultThatIsNoJsonIsAFailureOfTheAttempt) {
  worker->send(job, item::Finished{"{broken", {}});
  EXPECT_EQ(rig.phase(0), Phase::backoff);
  EXPECT_EQ(rig.job(0).failures, 1u);
}

TEST_F(CoreItems, TheBestReportIsTheEarlierOneOnATie) {
  worker->report(job, 1, 0.5);
  worker->report(job, 2, 0.7);
  worker->report(job, 3, 0.7);
  EXPECT_EQ(rig.job(0).progress->best, 0.7);
  EXPECT_EQ(rig.job(0).progress->best_epoch, 2u);
  EXPECT_EQ(rig.job(0).progress->epoch, 3u);
}

TEST_F(CoreItems, OnlyTheNewestTwoAndTheBestCheckpointAreKept) {
  worker->checkpoint(job, 1, "c1", true);
  worker->checkpoint(job, 2, "c2", true);
  EXPECT_TRUE(rig.released.empty());
  worker->checkpoint(job, 3, "c3", false);
  EXPECT_EQ(rig.released, (std::vector<std::string>{"c1"}));
  worker->checkpoint(job, 4, "c4", false);
  EXPECT_EQ(rig.released, (std::vector<std::string>{"c1"}));
  worker->checkpoint(job, 5, "c5", false);
  EXPECT_EQ(rig.released, (std::vector<std::string>{"c1", "c3"}));
  EXPECT_EQ(rig.job(0).progress->checkpoints->best->sha256, "c2");
  EXPECT_EQ(rig.job(0).progress->checkpoints->older->sha256, "c4");
  EXPECT_EQ(rig.job(0).progress->checkpoints->latest->sha256, "c5");
}

TEST_F(CoreItems, ACheckpointThatTwoJobsShareIsKeptForTheOther) {
  Planner make;
  make.stage("adapter", Kind::adapter).adapter("mr");
  FakeWorker& other = rig.worker("other");
  rig.submit(make.plan);
  const JobNumber twin = rig.number(0);
  other.started(twin);
  worker->checkpoint(job, 1, "same");
  other.checkpoint(twin, 1, "same");
  worker->checkpoint(job, 2, "a2");
  other.checkpoint(twin, 2, "b2");
  worker->checkpoint(job, 3, "a3");
  EXPECT_TRUE(rig.released.empty());
  other.checkpoint(twin, 3, "b3");
  EXPECT_EQ(rig.released, (std::vector<std::string>{"same"}));
}

TEST_F(CoreItems, TheNextAttemptResumesFromTheNewestCheckpoint) {
  worker->checkpoint(job, 1, "c1", true);
  worker->checkpoint(job, 2, "c2", false);
  worker->gone();
  rig.tick(Millis(15'000));
  rig.tick(Millis(0));
  FakeWorker& second = rig.worker("second");
  ASSERT_TRUE(second.holds(job));
  ASSERT_TRUE(second.held[job].assign.resume);
  EXPECT_EQ(second.held[job].assign.resume->file.sha256, "c2");
  EXPECT_EQ(second.held[job].assign.resume->epoch, 2u);
}

// Row 22: damage of the newest costs the epochs since the one before it.
TEST_F(CoreItems, TheCheckpointBeforeTheNewestIsKeptAndGoesWithTheAssignment) {
  worker->checkpoint(job, 1, "c1", false);
  worker->checkpoint(job, 2, "c2", false);
  EXPECT_TRUE(rig.released.empty());
  worker->checkpoint(job, 3, "c3", false);
  EXPECT_EQ(rig.released, (std::vector<std::string>{"c1"}));
  rig.take_snapshot();
  rig.restart();
  worker->gone();
  rig.tick(Millis(15'000));
  rig.tick(Millis(0));
  FakeWorker& second = rig.worker("second");
  ASSERT_TRUE(second.holds(job));
  const SendAssign& assign = second.held[job].assign;
  ASSERT_TRUE(assign.resume && assign.resume_older);
  EXPECT_EQ(assign.resume->file.sha256, "c3");
  EXPECT_EQ(assign.resume_older->file.sha256, "c2");
}

}  // namespace
}  // namespace fathom::core::test
