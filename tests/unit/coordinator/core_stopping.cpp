// Early stopping as the core does it: verdicts in the log, once for each setting and rung, and the stops they lead to.
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

sweeps::Plan settings(int count, int seeds = 1, std::uint32_t eta = 3) {
  Planner make;
  make.stage("adapter", Kind::adapter).stop(eta, 1, 9);
  for (int i = 0; i < count; ++i) {
    for (int seed = 1; seed <= seeds; ++seed) make.adapter("mr", 0.001 * (i + 1), seed);
  }
  return make.plan;
}

struct CoreStopping : ::testing::Test {
  // All jobs at once on one device.
  void begin(const sweeps::Plan& plan) {
    worker = &rig.worker("w", {static_cast<std::uint32_t>(plan.jobs.size())});
    rig.submit(plan);
    for (const JobNumber job : worker->jobs()) worker->started(job);
  }
  // The verdicts in the log, as C and S in their order.
  std::string verdicts() const {
    std::string out;
    for (const std::string& bytes : rig.log) {
      event::Event event;
      if (event.ParseFromString(bytes) && event.has_rung_entered())
        out += event.rung_entered().keep_going() ? 'C' : 'S';
    }
    return out;
  }
  Rig rig;
  FakeWorker* worker = nullptr;
};

TEST_F(CoreStopping, ArrivalsAreJudgedAsTheRuleSays) {
  begin(settings(9));  // errors in the order of the reference's seventh vector; higher is better here
  const double errors[] = {.50, .40, .45, .42, .60, .41, .44, .43, .39};
  for (std::uint32_t i = 0; i < 9; ++i) worker->report(rig.number(i), 1, 1 - errors[i]);
  EXPECT_EQ(verdicts(), "CCSSSCSSC");
  EXPECT_EQ(rig.phase(2), Phase::stopping);
  EXPECT_EQ(worker->stops.at(rig.number(2)), "search");
  EXPECT_FALSE(worker->stops.contains(rig.number(1)));
}

sweeps::Plan under(const sweeps::StopRule& rule, int count) {
  sweeps::Plan plan = settings(count);
  plan.stages.back().stop = rule;
  return plan;
}

TEST_F(CoreStopping, BootstrapHoldsVerdictsAndGivesThemInTheLog) {
  sweeps::StopRule rule;
  rule.eta = 3;
  rule.max = 9;
  rule.bootstrap = 3;
  begin(under(rule, 4));
  worker->report(rig.number(0), 1, 0.1);
  worker->report(rig.number(0), 3, 0.2);  // runs on meanwhile
  worker->report(rig.number(1), 1, 0.9);
  EXPECT_EQ(verdicts(), "CCC");
  worker->report(rig.number(2), 1, 0.5);
  EXPECT_EQ(verdicts(), "CCCSSC");  // the third stops, then what was held: 0.1 and, at the same rung, 0.9
  EXPECT_EQ(rig.phase(0), Phase::stopping);
  EXPECT_EQ(rig.phase(1), Phase::running);
  rig.restart();
  worker->join();
  worker->report(rig.number(3), 1, 0.8);
  EXPECT_EQ(verdicts(), "CCCSSCS");
}

TEST_F(CoreStopping, MedianComparesWithWhatHasCompleted) {
  sweeps::StopRule rule;
  rule.method = "median";
  rule.max = 9;
  rule.startup = 1;
  begin(under(rule, 3));
  worker->report(rig.number(1), 1, 0.1);
  worker->report(rig.number(0), 1, 0.6);
  worker->report(rig.number(0), 2, 0.8);
  worker->finish(rig.number(0), 0.8);  // train.patience ended it: completed all the same
  worker->report(rig.number(1), 2, 0.65);
  EXPECT_EQ(rig.phase(1), Phase::stopping);  // below 0.7
  worker->report(rig.number(2), 2, 0.75);
  EXPECT_EQ(rig.phase(2), Phase::running);
}

TEST_F(CoreStopping, HyperbandSpreadsTheSettingsOverBrackets) {
  sweeps::StopRule rule;
  rule.method = "hyperband";
  rule.eta = 3;
  rule.max = 9;
  begin(under(rule, 20));
  const StopGroup& group = rig.sweep().groups.front();
  std::map<std::size_t, int> brackets;
  for (const auto& [first, setting] : group.settings) ++brackets[group.stopper.rungs(first).size()];
  EXPECT_EQ(brackets, (std::map<std::size_t, int>{{3, 12}, {2, 5}, {1, 3}}));
  for (std::uint32_t i = 0; i < 20; ++i) worker->report(rig.number(i), 9, 0.01 * i);
  EXPECT_EQ(rig.count(Phase::stopping), 0u);  // each is better than all before it
}

TEST_F(CoreStopping, WhereTasksDifferInEpochsAGroupTakesThoseOfItsJobs) {
  sweeps::Plan plan = settings(3);
  plan.stages.back().stop->max = 0;
  begin(plan);
  worker->report(rig.number(0), 1, 0.9);
  worker->report(rig.number(1), 1, 0.1);
  EXPECT_EQ(verdicts(), "CS");
  worker->report(rig.number(0), 3, 0.8);  // the second rung of 1, 3, 9
  EXPECT_EQ(verdicts(), "CSC");
}

TEST_F(CoreStopping, AStoppedJobEndsAsStoppedAndTheSweepSucceeds) {
  begin(settings(2));
  worker->report(rig.number(0), 1, 0.9);
  worker->report(rig.number(1), 1, 0.1);
  worker->stopped(rig.number(1), 0.1);
  EXPECT_EQ(rig.phase(1), Phase::stopped);
  EXPECT_EQ(std::get<Stopped>(rig.job(1).state).outcome->objective, 0.1);
  EXPECT_NE(std::get<Stopped>(rig.job(1).state).text.str().find("epoch 1"), std::string::npos);
  worker->finish(rig.number(0), 0.9);
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
}

TEST_F(CoreStopping, OneReportThatCrossesSeveralRungsIsJudgedInRisingOrder) {
  begin(settings(2));
  worker->report(rig.number(0), 9, 0.9);
  EXPECT_EQ(verdicts(), "CCC");  // rungs 1, 3, 9
  worker->report(rig.number(1), 9, 0.1);
  EXPECT_EQ(verdicts(), "CCCS");  // stops at the first
}

TEST_F(CoreStopping, AReportAfterTheVerdictIsRecordedAndJudgedNoMore) {
  begin(settings(2));
  worker->report(rig.number(0), 1, 0.9);
  worker->report(rig.number(1), 1, 0.1);
  worker->report(rig.number(1), 3, 1.0);
  EXPECT_EQ(verdicts(), "CS");
  EXPECT_EQ(rig.job(1).progress->best, 1.0);
  EXPECT_EQ(rig.phase(1), Phase::stopping);
}

TEST_F(CoreStopping, ASecondAttemptDoesNotEnterARungAgain) {
  begin(settings(2));
  worker->report(rig.number(0), 1, 0.9);
  worker->fail(rig.number(0), "data");
  rig.tick(Millis(2'000));
  worker->started(rig.number(0));
  worker->report(rig.number(0), 1, 0.2);
  EXPECT_EQ(verdicts(), "C");
  worker->report(rig.number(0), 3, 0.2);
  EXPECT_EQ(verdicts(), "CC");
}

TEST_F(CoreStopping, ARaceOfStopAndFinishHasOneWinner) {
  begin(settings(2));
  worker->report(rig.number(0), 1, 0.9);
  const Fence fence = worker->held.at(rig.number(1)).fence;
  worker->report(rig.number(1), 1, 0.1);
  ASSERT_EQ(rig.phase(1), Phase::stopping);
  worker->finish(rig.number(1), 0.1);  // it was faster than the stop
  EXPECT_EQ(rig.phase(1), Phase::succeeded);
  rig.give(ItemReceived{worker->number, fence, 4, item::Stopped{1, 10, "", {}}});
  EXPECT_EQ(rig.phase(1), Phase::succeeded);
}

TEST_F(CoreStopping, AStoppingJobWhoseWorkerIsLostIsStoppedWithoutATree) {
  begin(settings(2));
  worker->report(rig.number(0), 1, 0.9);
  worker->report(rig.number(1), 1, 0.1);
  rig.tick(Millis(15'000));
  const auto& stopped = std::get<Stopped>(rig.job(1).state);
  EXPECT_FALSE(stopped.outcome->has_files);
  EXPECT_EQ(stopped.outcome->objective, 0.1);
  EXPECT_EQ(rig.phase(0), Phase::backoff);
}

TEST_F(CoreStopping, ASettingWithSeveralSeedsIsJudgedOnceByItsMean) {
  begin(settings(2, 2));  // jobs 0, 1: first setting; 2, 3: second
  worker->report(rig.number(0), 1, 0.9);
  EXPECT_EQ(verdicts(), "");  // its other seed has not come this far
  worker->report(rig.number(2), 1, 0.8);
  worker->report(rig.number(1), 1, 0.5);
  EXPECT_EQ(verdicts(), "C");
  worker->report(rig.number(3), 1, 0.4);  // mean 0.6 below 0.7
  EXPECT_EQ(verdicts(), "CS");
  EXPECT_EQ(rig.phase(2), Phase::stopping);
  EXPECT_EQ(rig.phase(3), Phase::stopping);
  EXPECT_EQ(rig.phase(0), Phase::running);
}

TEST_F(CoreStopping, AVerdictReachesASeedThatWaitsForItsNextAttempt) {
  begin(settings(2, 2));
  worker->report(rig.number(0), 1, 0.9);
  worker->report(rig.number(1), 1, 0.9);
  worker->report(rig.number(2), 1, 0.1);
  worker->fail(rig.number(2), "data");
  ASSERT_EQ(rig.phase(2), Phase::backoff);
  worker->report(rig.number(3), 1, 0.1);
  EXPECT_EQ(rig.phase(2), Phase::stopped);
  EXPECT_EQ(rig.phase(3), Phase::stopping);
}

TEST_F(CoreStopping, GroupsAreJudgedApart) {
  Planner make;
  make.stage("adapter", Kind::adapter).stop(2, 1, 4);
  make.adapter("mr", 0.1), make.adapter("mr", 0.2), make.adapter("sms", 0.1), make.adapter("sms", 0.2);
  begin(make.plan);
  worker->report(rig.number(0), 1, 0.9);
  worker->report(rig.number(2), 1, 0.1);
  EXPECT_EQ(verdicts(), "CC");  // the first of each
  worker->report(rig.number(3), 1, 0.2);
  EXPECT_EQ(verdicts(), "CCC");
  worker->report(rig.number(1), 1, 0.5);
  EXPECT_EQ(verdicts(), "CCCS");
}

TEST_F(CoreStopping, AStoppedModelServesADependentOnlyWhereItIsAccepted) {
  for (const bool accept : {false, true}) {
    Rig own;
    Planner make;
    make.stage("adapter", Kind::adapter).stop(2, 1, 4);
    make.adapter("mr", 0.1);
    auto need = best_of("source", {make.adapter("mr", 0.2)});
    need.accept_stopped = accept;
    make.stage("evaluate", Kind::evaluate).taking("mr", {need});
    FakeWorker& hand = own.worker("w", {2});
    own.submit(make.plan);
    hand.started(own.number(0)), hand.started(own.number(1));
    hand.report(own.number(0), 1, 0.9);
    hand.report(own.number(1), 1, 0.1);
    hand.stopped(own.number(1), 0.1);
    EXPECT_EQ(own.phase(2), accept ? Phase::leased : Phase::skipped);
  }
}

TEST_F(CoreStopping, AReplayGivesTheSameVerdicts) {
  begin(settings(6));
  const double values[] = {.5, .6, .55, .4, .7, .65};
  for (std::uint32_t i = 0; i < 6; ++i) worker->report(rig.number(i), 1, values[i]);
  const std::string before = verdicts();
  const std::string state = digest(rig.state());
  State again;
  for (const std::string& bytes : rig.log) {
    event::Event event;
    ASSERT_TRUE(event.ParseFromString(bytes));
    const PlanPtr plan = event.has_sweep_submitted() ? rig.plans.at(event.sweep_submitted().resolved()) : nullptr;
    ASSERT_TRUE(evolve(again, event, plan).ok());
  }
  EXPECT_EQ(digest(again), state);
  EXPECT_EQ(verdicts(), before);
}

}  // namespace
}  // namespace fathom::core::test
