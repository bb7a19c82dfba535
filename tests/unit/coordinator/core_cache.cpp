// Results that are taken instead of made: what is known, when it is looked for, and what never is.
#include "coordinator/core/cache.hpp"
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

// Ids that say what is asked: "a00…1" is the second adapter in every plan, "e00…1" its evaluate.
sweeps::Plan asked(sweeps::Plan plan) {
  for (const sweeps::Stage& stage : plan.stages) {
    for (sweeps::JobIndex i = stage.first; i < stage.first + stage.count; ++i) {
      plan.jobs[i].id =
          sweeps::JobId((stage.kind == Kind::adapter ? 0xa000000000000000 : 0xe000000000000000) + i - stage.first);
    }
  }
  return plan;
}

// Adapters of tasks mr and sms, an evaluate of each.
sweeps::Plan pipeline(std::uint32_t adapters, bool use = true) {
  Planner make;
  make.plan.cache.use = use;
  make.stage("adapter", Kind::adapter);
  for (std::uint32_t i = 0; i < adapters; ++i) make.adapter(i % 2 == 0 ? "mr" : "sms", 0.001 * (i + 1));
  make.stage("evaluate", Kind::evaluate);
  for (std::uint32_t i = 0; i < adapters; ++i) make.taking(i % 2 == 0 ? "mr" : "sms", {best_of("source", {i})});
  return asked(make.plan);
}

class CoreCache : public ::testing::Test {
 protected:
  CoreCache() : worker(rig.worker("w", {2})) {}

  void finish_all(FakeWorker& by, const std::string& data = "data") {
    while (!by.held.empty()) {
      const JobNumber job = by.jobs().front();
      by.send(job, item::Started{"cpu:0", "base", data, 0});
      if (by.holds(job)) by.finish(job, 0.5 + 0.01 * static_cast<double>(job.value()));
    }
  }
  std::size_t trained() const { return rig.logged(event::Event::kJobFinished); }
  std::size_t reused() const { return rig.logged(event::Event::kJobReused); }
  const ResultMark& mark(sweeps::JobIndex index) const { return *std::get<Succeeded>(rig.job(index).state).mark; }

  Rig rig;
  FakeWorker& worker;
};

TEST_F(CoreCache, AnEqualSweepIsNotTrainedAgain) {
  rig.submit(pipeline(4));
  finish_all(worker);
  ASSERT_EQ(trained(), 8u);
  const JobNumber first = rig.number(0);
  rig.submit(pipeline(4));
  // One job of each task says the hashes and is taken back; the rest never leave.
  ASSERT_EQ(worker.held.size(), 2u);
  finish_all(worker);
  EXPECT_EQ(trained(), 8u);
  EXPECT_EQ(reused(), 8u);
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  for (sweeps::JobIndex i = 0; i < 8; ++i) {
    EXPECT_EQ(mark(i).source, first.value() + i);
    EXPECT_EQ(std::get<Succeeded>(rig.job(i).state).outcome->objective,
              std::get<Succeeded>(rig.state().job(JobNumber(first.value() + i))->state).outcome->objective);
  }
}

TEST_F(CoreCache, AJobThatHasToBeTrainedAnywayBinds) {
  rig.submit(pipeline(2));
  finish_all(worker);
  rig.submit(pipeline(4));
  EXPECT_TRUE(worker.holds(rig.number(2)) && worker.holds(rig.number(3)));
  EXPECT_EQ(rig.phase(0), Phase::ready);
  worker.started(rig.number(2));
  EXPECT_EQ(rig.phase(0), Phase::succeeded);
  finish_all(worker);
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_EQ(trained(), 8u);
  EXPECT_EQ(rig.logged(event::Event::kLeaseReleased), 0u);  // nothing was begun in vain
}

TEST_F(CoreCache, OtherDataIsAnotherResult) {
  rig.submit(pipeline(2));
  finish_all(worker);
  rig.submit(pipeline(2));
  finish_all(worker, "other data");
  EXPECT_EQ(trained(), 8u);
  EXPECT_EQ(reused(), 0u);
}

TEST_F(CoreCache, OtherInputsAreAnotherResult) {
  rig.submit(pipeline(2));
  finish_all(worker);
  // The adapters are trained anew and leave other files, so that their evaluates are other ones too.
  sweeps::Plan plan = pipeline(2, false);
  rig.submit(plan);
  finish_all(worker);
  ASSERT_EQ(trained(), 8u);
  rig.submit(pipeline(2));
  finish_all(worker);
  EXPECT_EQ(trained(), 8u);
  // The newest of two equal results is taken, with all that was made from it.
  const std::uint64_t newest = rig.state().sweeps[1].first.value();
  for (sweeps::JobIndex i = 0; i < 4; ++i) EXPECT_EQ(mark(i).source, newest + i);
}

TEST_F(CoreCache, ASweepMayTakeNothing) {
  rig.submit(pipeline(2));
  finish_all(worker);
  rig.submit(pipeline(2, false));
  finish_all(worker);
  EXPECT_EQ(reused(), 0u);
  EXPECT_EQ(trained(), 8u);
}

TEST_F(CoreCache, OnlyWhatSucceededIsTaken) {
  Planner make;
  make.plan.cache.use = true;
  make.stage("adapter", Kind::adapter).stop(2, 1, 9);
  make.adapter("mr", 0.1), make.adapter("mr", 0.2);
  rig.submit(asked(make.plan));
  const JobNumber good = rig.number(0), bad = rig.number(1);
  worker.started(good), worker.started(bad);
  worker.report(good, 1, 0.9), worker.report(bad, 1, 0.1);
  ASSERT_EQ(rig.phase(1), Phase::stopping);
  worker.stopped(bad, 0.1);
  worker.finish(good, 0.9);
  ASSERT_EQ(rig.phase(1), Phase::stopped);
  make.plan.stages.back().stop.reset();
  rig.submit(asked(make.plan));
  finish_all(worker);
  EXPECT_EQ(reused(), 1u);
  EXPECT_EQ(trained(), 2u);  // the good one of before, and what had been stopped, whole
  EXPECT_EQ(mark(1).source, 0u);
}

TEST_F(CoreCache, ValuesAtRungsComeWithTheResult) {
  Planner make;
  make.plan.cache.use = true;
  make.stage("adapter", Kind::adapter).stop(2, 1, 2);
  make.adapter("mr", 0.1);
  rig.submit(asked(make.plan));
  worker.started(rig.number(0)), worker.report(rig.number(0), 1, 0.9), worker.report(rig.number(0), 2, 0.8);
  finish_all(worker);
  make.adapter("mr", 0.2);  // one more setting
  rig.submit(asked(make.plan));
  const JobNumber fresh = rig.number(1);
  ASSERT_TRUE(worker.holds(fresh));
  worker.started(fresh);  // binds: the other one takes its result and is judged
  EXPECT_EQ(rig.phase(0), Phase::succeeded);
  ASSERT_FALSE(rig.job(0).progress->rung_values.empty());
  EXPECT_EQ(rig.job(0).progress->rung_values[0], 0.9);
  worker.report(fresh, 1, 0.1);
  EXPECT_EQ(rig.phase(1), Phase::stopping);
}

TEST_F(CoreCache, AStageThatRestsAtRungsTakesNothing) {
  Planner make;
  make.plan.cache.use = true;
  make.stage("adapter", Kind::adapter);
  make.adapter("mr", 0.1), make.adapter("mr", 0.2);
  rig.submit(asked(make.plan));
  finish_all(worker);
  sweeps::StopRule rule;
  rule.promote = true;
  rule.max = 9;
  make.plan.stages.back().stop = rule;
  rig.submit(asked(make.plan));
  EXPECT_EQ(worker.held.size(), 2u);
  for (const JobNumber job : worker.jobs()) worker.started(job);
  EXPECT_EQ(worker.held.size(), 2u);
  EXPECT_EQ(reused(), 0u);
}

TEST_F(CoreCache, ASecondSweepWaitsForWhatTheFirstIsMaking) {
  rig.submit(pipeline(2));
  const JobNumber a = rig.number(0), b = rig.number(1);
  ASSERT_TRUE(worker.holds(a) && worker.holds(b));
  rig.submit(pipeline(2));
  FakeWorker& other = rig.worker("other", {2});
  // Its jobs are the same: they say the hashes and are taken back, since both are being trained.
  for (const JobNumber job : other.jobs()) other.started(job);
  worker.started(a), worker.started(b);
  EXPECT_TRUE(other.held.empty());
  EXPECT_EQ(rig.sweep().aside.size(), 2u);
  EXPECT_NE(explain(rig.state(), rig.job(0)).find("another sweep"), std::string::npos);
  worker.finish(a, 0.7);
  EXPECT_EQ(rig.phase(0), Phase::succeeded);
  EXPECT_EQ(mark(0).source, a.value());
  // What the first does not bring about, the second does.
  worker.fail(b, "config");
  EXPECT_EQ(rig.phase(1), Phase::leased);
  finish_all(other), finish_all(worker), finish_all(other);
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
}

// One that takes no results makes what another one is making already, and is faster.
TEST_F(CoreCache, AJobTakesWhatWasMadeWhileItRan) {
  rig.submit(pipeline(1));
  const JobNumber first = rig.number(0);
  worker.started(first);
  rig.submit(pipeline(1, false));
  ASSERT_TRUE(worker.holds(first) && worker.holds(rig.number(0)));
  worker.started(rig.number(0));
  EXPECT_EQ(reused(), 0u);
  worker.finish(rig.number(0), 0.5);
  EXPECT_FALSE(worker.holds(first));
  EXPECT_EQ(rig.logged(event::Event::kLeaseReleased), 1u);
  ASSERT_EQ(phase_of(*rig.state().job(first)), Phase::succeeded);
  EXPECT_EQ(std::get<Succeeded>(rig.state().job(first)->state).mark->source, rig.number(0).value());
  finish_all(worker);
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_EQ(rig.state().sweeps[0].outcome, "succeeded");
}

TEST_F(CoreCache, ARestartKnowsAllResults) {
  for (const bool with_snapshot : {false, true}) {
    rig.submit(pipeline(2));
    finish_all(worker);
    const std::size_t before = trained();
    if (with_snapshot) rig.take_snapshot();
    rig.restart();
    worker.join(true);
    rig.submit(pipeline(2));
    finish_all(worker);
    EXPECT_EQ(trained(), before);
    EXPECT_EQ(rig.sweep().outcome, "succeeded");
  }
}

TEST_F(CoreCache, ARestartReadsWhatWasWanted) {
  rig.submit(pipeline(2));
  finish_all(worker);
  rig.reading = false;
  rig.submit(pipeline(2));
  for (const JobNumber job : worker.jobs()) worker.started(job);
  ASSERT_FALSE(rig.wanted.empty());
  EXPECT_EQ(explain(rig.state(), rig.job(0)), "Its result is known and is being read.");
  rig.take_snapshot();
  rig.reading = true;
  rig.restart();
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_EQ(reused(), 4u);
}

TEST_F(CoreCache, AResultThatCannotBeReadIsMade) {
  rig.submit(pipeline(2));
  finish_all(worker);
  rig.lose_results = true;
  rig.submit(pipeline(2));
  finish_all(worker);
  EXPECT_EQ(reused(), 0u);
  EXPECT_EQ(trained(), 8u);
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  // The adapters: their evaluates are of other files and were never known.
  EXPECT_EQ(rig.logged(event::Event::kReuseRefused), 2u);
}

TEST_F(CoreCache, OldResultsAreNotTakenUnlessPinned) {
  rig.submit(pipeline(2));
  finish_all(worker);
  ASSERT_FALSE(rig.give(PinResult{rig.number(0), true}).rejection);
  rig.tick(Millis(3'600'000));
  sweeps::Plan plan = pipeline(2);
  plan.cache.ttl_seconds = 60;
  rig.submit(plan);
  finish_all(worker);
  EXPECT_EQ(reused(), 1u);
  EXPECT_EQ(mark(0).source, 1u);
  EXPECT_EQ(mark(1).source, 0u);
  // A pin of what was taken is the pin of where it came from, and goes again.
  ASSERT_FALSE(rig.give(PinResult{rig.number(0), false}).rejection);
  EXPECT_TRUE(rig.state().pinned.empty());
}

TEST_F(CoreCache, ACancelEndsWhatStandsAside) {
  rig.submit(pipeline(4));
  finish_all(worker);
  const SweepNumber sweep = rig.submit(pipeline(4));
  rig.give(CancelSweep{sweep});
  finish_all(worker);
  EXPECT_EQ(rig.sweep().outcome, "cancelled");
  EXPECT_TRUE(rig.sweep().aside.empty());
}

TEST_F(CoreCache, AnAttemptOnOtherDataLeavesNothingToTake) {
  rig.submit(pipeline(2));
  const JobNumber a = rig.number(0);
  worker.started(a);
  worker.fail(a, "internal");
  rig.tick(Millis(600'000));
  for (auto& [job, hand] : worker.held) {
    if (job == a) {
      ASSERT_EQ(hand.sequence, 0u);
    }
  }
  if (!worker.holds(a)) worker.join();
  ASSERT_TRUE(worker.holds(a));
  worker.send(a, item::Started{"cpu:0", "base", "changed meanwhile", 0});
  worker.finish(a, 0.5);
  EXPECT_EQ(mark(0).key, 0u);
  EXPECT_EQ(rig.state().results.size(), 0u);
}

}  // namespace
}  // namespace fathom::core::test
