// The reference's vectors of early stopping (their numbers in the names) that a whole core is needed for: settings that
// share slots, and values that are no numbers.
#include <cmath>

#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::JobIndex;
using sweeps::Kind;

sweeps::StopRule rule(const std::string& method, std::uint32_t min, std::uint32_t max) {
  sweeps::StopRule out;
  out.method = method;
  out.min = min;
  out.max = max;
  out.startup = 1;
  return out;
}

// Settings of one task, the sweep's goal and rule.
sweeps::Plan settings(int count, const sweeps::StopRule& stop, sweeps::Goal goal) {
  Planner make;
  make.plan.goal = goal;
  make.stage("adapter", Kind::adapter).stop(stop.eta, stop.min, stop.max);
  make.plan.stages.back().stop = stop;
  for (int i = 0; i < count; ++i) make.adapter("mr", 0.001 * (i + 1));
  return make.plan;
}

struct CoreVectors : ::testing::Test {
  void begin(const sweeps::Plan& plan, std::uint32_t slots) {
    worker = &rig.worker("w", {slots});
    rig.submit(plan);
    for (const JobNumber job : worker->jobs()) worker->started(job);
  }
  std::size_t entries() const { return rig.sweep().groups.front().stopper.entries().size(); }
  Rig rig;
  FakeWorker* worker = nullptr;
};

// Rungs 100, 300, 900, said by the first or by their number; ten settings, three at once, each newcomer worse.
TEST_F(CoreVectors, Vector3OfTenThreeAtOnceOneReachesTheEndAndNineStopAtTheFirstRung) {
  for (const bool counted_down : {false, true}) {
    Rig own;
    sweeps::StopRule stop = rule("asha", counted_down ? 1 : 100, 900);
    stop.eta = 3;
    stop.rungs = counted_down ? 3 : 0;
    FakeWorker& hand = own.worker("w", {3});
    own.submit(settings(10, stop, sweeps::Goal::minimize));
    std::map<JobNumber, std::uint32_t> reached;
    std::size_t most = 0;
    while (!hand.held.empty()) {
      most = std::max(most, hand.held.size());
      for (const JobNumber job : hand.jobs()) {  // side by side, a hundred epochs at a time
        if (reached[job] == 0) hand.started(job);
        const double error = 0.1 * (own.state().job(job)->index + 1);
        hand.report(job, reached[job] += 100, error);
        if (hand.stops.contains(job)) {
          hand.stopped(job, error);
        } else if (reached[job] == 900) {
          hand.finish(job, error);
        }
      }
    }
    EXPECT_EQ(most, 3u);
    EXPECT_EQ(own.count(Phase::succeeded), 1u);
    EXPECT_EQ(own.count(Phase::stopped), 9u);
    for (JobIndex i = 0; i < 10; ++i) EXPECT_EQ(reached.at(own.number(i)), i == 0 ? 900u : 100u) << i;
  }
}

// Rungs from 2 on. Optuna prunes at the NaN of step 2, and goes on after that of step 1. Ours: a value that is no
// number ends the job as diverged whenever it comes, without a retry and without an entry.
TEST_F(CoreVectors, Vector10NotANumberBeforeAndAtTheFirstRung) {
  sweeps::StopRule stop = rule("asha", 2, 10);
  stop.eta = 2;
  begin(settings(3, stop, sweeps::Goal::minimize), 3);
  worker->report(rig.number(0), 1, std::nan(""));
  EXPECT_EQ(rig.phase(0), Phase::diverged);
  worker->report(rig.number(1), 1, 0.5);
  EXPECT_EQ(rig.phase(1), Phase::running);
  worker->report(rig.number(1), 2, std::nan(""));
  EXPECT_EQ(rig.phase(1), Phase::diverged);
  EXPECT_EQ(entries(), 0u);
  worker->report(rig.number(2), 2, 9.0);  // nothing to compare with
  EXPECT_EQ(rig.phase(2), Phase::running);
  EXPECT_EQ(entries(), 1u);
  rig.tick(Millis(400'000));
  for (const JobIndex i : {0U, 1U}) EXPECT_EQ(rig.job(i).attempt, 1u);
}

// Percentile 25 of five: those that are no numbers are no history, and one's own ends the job as diverged.
TEST_F(CoreVectors, Vector11NotANumberAsHistoryAndAsOnesOwn) {
  sweeps::StopRule stop = rule("percentile", 1, 5);
  stop.percentile = 25;
  begin(settings(12, stop, sweeps::Goal::minimize), 12);
  for (JobIndex i = 0; i < 5; ++i) worker->report(rig.number(i), 1, std::nan(""));
  worker->report(rig.number(5), 1, 100);
  EXPECT_EQ(rig.phase(5), Phase::running);
  for (JobIndex i = 6; i < 11; ++i) {
    worker->report(rig.number(i), 1, i - 5.0);
    worker->finish(rig.number(i), i - 5.0);
  }
  worker->report(rig.number(11), 1, std::nan(""));
  EXPECT_EQ(rig.phase(11), Phase::diverged);
  worker->report(rig.number(5), 2, 2.1);  // nothing else has a second epoch
  EXPECT_EQ(rig.phase(5), Phase::running);
}

// One that diverged after a good start: nothing is compared with what it had.
TEST_F(CoreVectors, ADivergedSettingIsNoMemberOfTheMedian) {
  sweeps::StopRule stop = rule("median", 1, 5);
  stop.among_all = true;
  begin(settings(3, stop, sweeps::Goal::maximize), 3);
  worker->report(rig.number(0), 1, 0.9);
  worker->report(rig.number(0), 2, std::nan(""));
  ASSERT_EQ(rig.phase(0), Phase::diverged);
  worker->report(rig.number(1), 1, 0.5);
  EXPECT_EQ(rig.phase(1), Phase::running);
  worker->report(rig.number(2), 1, 0.4);
  EXPECT_EQ(rig.phase(2), Phase::stopping);
}

// Maximize, among: all. Where Ray's soft stop pauses the trial, ours has one verdict, and it stands: the job ends as
// Stopped, with the model of its best epoch, its slot goes to the next, and it is not run again.
TEST_F(CoreVectors, Vector16AStopIsForGood) {
  sweeps::StopRule stop = rule("median", 1, 20);
  stop.among_all = true;
  begin(settings(4, stop, sweeps::Goal::maximize), 3);
  for (std::uint32_t i = 0; i < 10; ++i) worker->report(rig.number(0), i + 1, 100.0 * i);
  for (std::uint32_t i = 0; i < 5; ++i) worker->report(rig.number(1), i + 1, 450);
  worker->report(rig.number(2), 2, 260);  // median of mean(0, 100) and 450: 250
  EXPECT_EQ(rig.phase(2), Phase::running);
  worker->report(rig.number(2), 3, 260);  // of 100 and 450: 275
  EXPECT_EQ(rig.phase(2), Phase::stopping);
  EXPECT_FALSE(worker->holds(rig.number(3)));
  worker->stopped(rig.number(2), 260);
  EXPECT_EQ(rig.phase(2), Phase::stopped);
  EXPECT_EQ(std::get<Stopped>(rig.job(2).state).outcome->objective, 260);
  EXPECT_TRUE(std::get<Stopped>(rig.job(2).state).outcome->has_files);
  EXPECT_TRUE(worker->holds(rig.number(3)));
  const Step again = rig.give(RerunJob{rig.number(2)});
  ASSERT_TRUE(again.rejection);
  EXPECT_NE(again.rejection->message.find("a verdict stands"), std::string::npos);
}

}  // namespace
}  // namespace fathom::core::test
