// Cancel: from every state, of a job and of a sweep; races with results.
#include <functional>

#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

// adapter 0, evaluate 1 of it.
sweeps::Plan pair() {
  Planner make;
  make.stage("adapter", Kind::adapter);
  const auto adapter = make.adapter("mr");
  make.stage("evaluate", Kind::evaluate).taking("mr", {best_of("source", {adapter})});
  return make.plan;
}

TEST(CoreCancel, ABlockedJob) {
  Rig rig;
  rig.submit(pair());
  rig.give(CancelJob{rig.number(1)});
  EXPECT_EQ(rig.phase(1), Phase::cancelled);
  EXPECT_EQ(std::get<Cancelled>(rig.job(1).state).cause, "cancelled by a person");
}

TEST(CoreCancel, AReadyJobAndItsDependentIsSkipped) {
  Rig rig;
  rig.submit(pair());
  rig.give(CancelJob{rig.number(0)});
  EXPECT_EQ(rig.phase(0), Phase::cancelled);
  EXPECT_EQ(rig.phase(1), Phase::skipped);
  EXPECT_EQ(rig.sweep().outcome, "cancelled");
}

TEST(CoreCancel, ALeasedJobWaitsUntilItsHolderConfirms) {
  Rig rig;
  FakeWorker& worker = rig.worker("w");
  rig.submit(pair());
  const JobNumber job = rig.number(0);
  rig.give(CancelJob{job});
  EXPECT_EQ(rig.phase(0), Phase::cancelling);
  EXPECT_EQ(worker.stops.at(job), "cancel");
  EXPECT_EQ(rig.phase(1), Phase::blocked);
  worker.started(job);  // it was on its way
  EXPECT_EQ(rig.phase(0), Phase::cancelling);
  worker.send(job, item::Stopped{0, 0, "", {}});
  EXPECT_EQ(rig.phase(0), Phase::cancelled);
  EXPECT_EQ(rig.phase(1), Phase::skipped);
}

TEST(CoreCancel, AskingTwiceChangesNothingAndAskingTooLateIsRefused) {
  Rig rig;
  FakeWorker& worker = rig.worker("w");
  rig.submit(pair());
  const JobNumber job = rig.number(0);
  worker.started(job);
  rig.give(CancelJob{job});
  const Step again = rig.give(CancelJob{job});
  EXPECT_TRUE(again.events.empty());
  EXPECT_FALSE(again.rejection);
  worker.stopped(job, 0.5);
  EXPECT_FALSE(rig.give(CancelJob{job}).rejection);
  const Step late = rig.give(CancelJob{rig.number(1)});
  ASSERT_TRUE(late.rejection);
  EXPECT_EQ(late.rejection->code, Errc::failed_precondition);
  EXPECT_EQ(rig.give(CancelJob{JobNumber(77)}).rejection->code, Errc::not_found);
  EXPECT_EQ(rig.give(CancelSweep{SweepNumber(77)}).rejection->code, Errc::not_found);
}

TEST(CoreCancel, AJobInBackoff) {
  Rig rig;
  FakeWorker& worker = rig.worker("w");
  rig.submit(pair());
  worker.fail(rig.number(0), "data");
  ASSERT_EQ(rig.phase(0), Phase::backoff);
  rig.give(CancelJob{rig.number(0)});
  EXPECT_EQ(rig.phase(0), Phase::cancelled);
  EXPECT_TRUE(rig.tick(Millis(300'000)).events.empty());
}

// Whatever ends a job that is being cancelled, it is cancelled; only a whole result is kept.
TEST(CoreCancel, EveryWayOutOfCancelling) {
  struct Case {
    const char* name;
    std::function<void(Rig&, FakeWorker&, JobNumber)> end;
    Phase expected;
  };
  const Case cases[] = {
      {"stopped", [](Rig&, FakeWorker& w, JobNumber j) { w.stopped(j, 0.5); }, Phase::cancelled},
      {"failed", [](Rig&, FakeWorker& w, JobNumber j) { w.fail(j, "crash", false); }, Phase::cancelled},
      {"diverged", [](Rig&, FakeWorker& w, JobNumber j) { w.fail(j, "diverged"); }, Phase::cancelled},
      {"lost", [](Rig& r, FakeWorker&, JobNumber) { r.tick(Millis(15'000)); }, Phase::cancelled},
      {"back without it", [](Rig&, FakeWorker& w, JobNumber) { w.held.clear(), w.join(); }, Phase::cancelled},
      {"left", [](Rig&, FakeWorker& w, JobNumber) { w.gone(true); }, Phase::cancelled},
      {"finished", [](Rig&, FakeWorker& w, JobNumber j) { w.finish(j, 0.9); }, Phase::succeeded},
  };
  for (const Case& one : cases) {
    Rig rig;
    FakeWorker& worker = rig.worker("w");
    rig.submit(pair());
    worker.started(rig.number(0));
    rig.give(CancelJob{rig.number(0)});
    one.end(rig, worker, rig.number(0));
    EXPECT_EQ(rig.phase(0), one.expected) << one.name;
    EXPECT_EQ(rig.phase(1),
              one.expected == Phase::succeeded ? (worker.connected ? Phase::leased : Phase::ready) : Phase::skipped)
        << one.name;
  }
}

TEST(CoreCancel, AStopIsSentAgainToAWorkerThatComesBack) {
  Rig rig;
  FakeWorker& worker = rig.worker("w");
  rig.submit(pair());
  const JobNumber job = rig.number(0);
  worker.started(job);
  worker.gone();
  rig.give(CancelJob{job});
  EXPECT_TRUE(worker.stops.empty());
  worker.join();
  EXPECT_EQ(worker.stops.at(job), "cancel");
}

// adapters 0 to 7, an evaluate of each behind them.
sweeps::Plan eight() {
  Planner make;
  make.stage("adapter", Kind::adapter);
  std::vector<sweeps::JobIndex> all;
  for (int i = 0; i < 8; ++i) all.push_back(make.adapter("t" + std::to_string(i)));
  make.stage("evaluate", Kind::evaluate);
  for (const auto adapter : all) make.taking("t", {best_of("source", {adapter})});
  return make.plan;
}

TEST(CoreCancel, ASweepInTheMiddleOfEverything) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {4});
  rig.submit(eight());
  worker.started(rig.number(0));
  worker.finish(rig.number(0), 0.5);
  worker.fail(rig.number(1), "config");
  worker.fail(rig.number(2), "data");
  worker.started(rig.number(3));
  const Step step = rig.give(CancelSweep{rig.sweep().number});
  EXPECT_FALSE(step.rejection);
  EXPECT_EQ(rig.logged(event::Event::kSweepCancelRequested), 1u);
  const std::size_t granted = rig.logged(event::Event::kLeaseGranted);
  EXPECT_EQ(rig.count(Phase::succeeded), 1u);
  EXPECT_EQ(rig.count(Phase::failed), 1u);
  EXPECT_EQ(rig.count(Phase::skipped), 1u);
  EXPECT_EQ(rig.count(Phase::cancelling), 4u);
  EXPECT_EQ(worker.stops.size(), 4u);
  for (const JobNumber job : worker.jobs()) worker.stopped(job, 0.1);
  EXPECT_EQ(rig.logged(event::Event::kLeaseGranted), granted);  // nothing starts after the cancel
  EXPECT_EQ(rig.sweep().outcome, "cancelled");
  EXPECT_TRUE(rig.give(CancelSweep{rig.sweep().number}).events.empty());
}

TEST(CoreCancel, ASweepThatFinishesEndsWithWhatRuns) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {4});
  rig.submit(eight());
  for (int i = 0; i < 3; ++i) worker.started(rig.number(i));
  rig.give(CancelSweep{rig.sweep().number, "stopped by a person", true});
  EXPECT_EQ(rig.count(Phase::cancelled), 12u);
  EXPECT_EQ(rig.count(Phase::running), 3u);
  EXPECT_EQ(rig.count(Phase::leased), 1u);
  EXPECT_TRUE(worker.stops.empty());
  EXPECT_TRUE(rig.give(CancelSweep{rig.sweep().number, "stopped by a person", true}).events.empty());
  const std::size_t granted = rig.logged(event::Event::kLeaseGranted);
  worker.finish(rig.number(0), 0.5);
  EXPECT_EQ(rig.phase(0), Phase::succeeded);
  EXPECT_EQ(rig.phase(8), Phase::cancelled);
  // What would have to start again is not: a failed attempt, a lease that ran out, one that was handed back.
  worker.fail(rig.number(1), "data");
  EXPECT_EQ(rig.phase(1), Phase::cancelled);
  rig.restart();
  EXPECT_TRUE(rig.sweep().finishing);
  rig.tick(Millis(60'000));
  rig.tick(Millis(60'000));
  EXPECT_EQ(rig.count(Phase::cancelled), 15u);
  EXPECT_EQ(rig.logged(event::Event::kLeaseGranted), granted);
  EXPECT_EQ(rig.sweep().outcome, "cancelled");
  EXPECT_EQ(std::get<Cancelled>(rig.job(1).state).cause, "stopped by a person");
}

TEST(CoreCancel, ASweepThatFinishesCanBeCancelledWhole) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {4});
  rig.submit(eight());
  rig.give(CancelSweep{rig.sweep().number, "stopped by a person", true});
  rig.give(CancelSweep{rig.sweep().number});
  EXPECT_EQ(worker.stops.size(), 4u);
  EXPECT_EQ(rig.count(Phase::cancelling), 4u);
  EXPECT_TRUE(rig.give(CancelSweep{rig.sweep().number, "stopped by a person", true}).events.empty());
  for (const JobNumber job : worker.jobs()) worker.stopped(job, 0.1);
  EXPECT_EQ(rig.sweep().outcome, "cancelled");
}

TEST(CoreCancel, ASweepThatHasEndedStaysAsItIs) {
  Rig rig;
  FakeWorker& worker = rig.worker("w");
  rig.submit(pair());
  worker.finish(rig.number(0), 0.5);
  worker.finish(rig.number(1), 0.5);
  ASSERT_EQ(rig.sweep().outcome, "succeeded");
  const Step step = rig.give(CancelSweep{rig.sweep().number});
  EXPECT_TRUE(step.events.empty());
  EXPECT_FALSE(step.rejection);
}

}  // namespace
}  // namespace fathom::core::test
