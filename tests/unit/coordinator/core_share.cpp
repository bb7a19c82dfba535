// Between sweeps: weighted fair share, and that a sweep that wants a slot gets one whatever else there is.
#include <algorithm>
#include <map>
#include <random>

#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

sweeps::Plan of_jobs(int count, const std::string& name, std::uint32_t priority = 50, std::uint32_t weight = 1) {
  Planner make;
  make.plan.name = name;
  make.plan.priority = priority;
  make.plan.weight = weight;
  make.stage("adapter", sweeps::Kind::adapter);
  for (int i = 0; i < count; ++i) make.adapter("a", 0.001 * (i + 1));
  return make.plan;
}

struct CoreShare : ::testing::Test {
  // Ends the job that the worker holds longest, with a wait of nothing.
  SweepNumber end_one() {
    const JobNumber job = order.front();
    order.erase(order.begin());
    const SweepNumber sweep = rig.state().job(job)->sweep;
    worker->finish(job, 0.5);
    see();
    return sweep;
  }
  // What was given out meanwhile, in order.
  void see() {
    for (const JobNumber job : worker->jobs()) {
      if (std::ranges::find(order, job) == order.end()) order.push_back(job), ++grants[rig.state().job(job)->sweep];
    }
  }
  std::size_t running(SweepNumber sweep) const { return rig.state().sweep(sweep)->active.size(); }

  Rig rig;
  FakeWorker* worker = nullptr;
  std::vector<JobNumber> order;
  std::map<SweepNumber, int> grants;
};

TEST_F(CoreShare, SlotsAreSharedByWeight) {
  const SweepNumber heavy = rig.submit(of_jobs(40, "heavy", 50, 3));
  const SweepNumber light = rig.submit(of_jobs(40, "light", 50, 1));
  worker = &rig.worker("w", {8});
  EXPECT_EQ(running(heavy), 6u);
  EXPECT_EQ(running(light), 2u);
}

// Parts of a slot go round: where there is one slot the heavier sweep gets it more often.
TEST_F(CoreShare, OneSlotGoesRoundByWeight) {
  const SweepNumber heavy = rig.submit(of_jobs(60, "heavy", 50, 3));
  const SweepNumber light = rig.submit(of_jobs(60, "light", 50, 1));
  worker = &rig.worker("w", {1});
  see();
  for (int i = 0; i < 39; ++i) end_one();
  EXPECT_EQ(grants[heavy], 30);
  EXPECT_EQ(grants[light], 10);
}

TEST_F(CoreShare, EqualSweepsTakeTurnsOnOneSlot) {
  const SweepNumber first = rig.submit(of_jobs(20, "first"));
  const SweepNumber second = rig.submit(of_jobs(20, "second"));
  worker = &rig.worker("w", {1});
  see();
  for (int i = 0; i < 9; ++i) end_one();
  EXPECT_EQ(grants[first], 5);
  EXPECT_EQ(grants[second], 5);
}

// Long jobs are not given more slots than short ones: what counts is what runs, not what was given out.
TEST_F(CoreShare, ASweepOfLongJobsHoldsItsShareOnly) {
  const SweepNumber slow = rig.submit(of_jobs(30, "slow"));
  const SweepNumber quick = rig.submit(of_jobs(60, "quick"));
  worker = &rig.worker("w", {4});
  for (int i = 0; i < 20; ++i) {
    const auto jobs = worker->jobs();
    const auto short_one =
        std::ranges::find_if(jobs, [&](JobNumber job) { return rig.state().job(job)->sweep == quick; });
    ASSERT_NE(short_one, jobs.end());
    worker->finish(*short_one, 0.5);
    EXPECT_EQ(running(slow), 2u);
    EXPECT_EQ(running(quick), 2u);
  }
}

// Who could not use its share has no claim to it later.
TEST_F(CoreShare, ASweepThatComesLateIsNotPaidForTheTimeBefore) {
  const SweepNumber first = rig.submit(of_jobs(80, "first"));
  worker = &rig.worker("w", {1});
  see();
  for (int i = 0; i < 30; ++i) end_one();
  const SweepNumber second = rig.submit(of_jobs(20, "second"));
  grants.clear();
  for (int i = 0; i < 10; ++i) end_one();
  EXPECT_EQ(grants[first], 5);
  EXPECT_EQ(grants[second], 5);
}

TEST_F(CoreShare, AWeightIsChangedWhileTheSweepRuns) {
  const SweepNumber first = rig.submit(of_jobs(60, "first"));
  const SweepNumber second = rig.submit(of_jobs(60, "second"));
  worker = &rig.worker("w", {1});
  see();
  rig.give(ChangeSweep{.sweep = second, .weight = 4});
  EXPECT_TRUE(rig.give(ChangeSweep{.sweep = second, .weight = 0}).rejection.has_value());
  EXPECT_TRUE(rig.give(ChangeSweep{.sweep = second, .weight = 1001}).rejection.has_value());
  for (int i = 0; i < 3; ++i) end_one();
  grants.clear();
  for (int i = 0; i < 20; ++i) end_one();
  EXPECT_EQ(grants[first], 4);
  EXPECT_EQ(grants[second], 16);
}

// Important jobs are submitted faster than they run; what is unimportant goes on all the same.
TEST_F(CoreShare, AStreamOfImportantSweepsDoesNotStarveAnUnimportantOne) {
  rig.checking = false;
  worker = &rig.worker("w", {2});
  rig.submit(of_jobs(40, "busy", 90));
  const SweepNumber low = rig.submit(of_jobs(3, "low", 1));
  see();
  int others = 0, longest = 0;
  for (int round = 1; round < 400 && grants[low] < 3; ++round) {
    if (round % 20 == 0) rig.submit(of_jobs(40, "busy", 90));
    const int before = grants[low];
    end_one();
    others = grants[low] == before ? others + 1 : 0;
    longest = std::max(longest, others);
  }
  EXPECT_EQ(grants[low], 3);
  EXPECT_LE(longest, 80);
}

// The property, on random sweeps of all priorities, weights, limits and lengths of jobs: a sweep that may start a job
// is not passed over by more grants than it takes to starve and to serve everyone who starved before.
class CoreStarvation : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(CoreStarvation, ASweepThatWantsASlotAlwaysAdvances) {
  constexpr std::uint64_t kStarving = 64;
  std::mt19937_64 random(GetParam());
  const auto pick = [&](std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(random); };
  Rig rig;
  rig.checking = false;
  rig.worker("a", {2, 1}), rig.worker("b", {3});
  std::map<SweepNumber, std::uint64_t> passed;
  std::size_t submitted = 0, most = 0;
  std::uint64_t granted = 0, worst = 0;
  for (int round = 0; round < 1500; ++round) {
    if (rig.state().open_sweeps.size() < 8 && pick(4) == 0) {
      sweeps::Plan plan = of_jobs(static_cast<int>(2 + pick(60)), "s" + std::to_string(submitted++),
                                  static_cast<std::uint32_t>(pick(3) * 50), static_cast<std::uint32_t>(1 + pick(5)));
      plan.limits.concurrency = static_cast<std::uint32_t>(pick(3));
      rig.submit(plan);
    }
    FakeWorker& worker = *rig.workers.at(pick(2) == 0 ? "a" : "b");
    // Old jobs are left to run long now and then.
    if (const auto jobs = worker.jobs(); !jobs.empty()) worker.finish(jobs[pick(jobs.size())], 0.5);
    most = std::max(most, rig.state().open_sweeps.size());
    const std::uint64_t fresh = rig.state().grants - granted;
    granted = rig.state().grants;
    for (const SweepNumber number : rig.state().open_sweeps) {
      const Sweep& sweep = *rig.state().sweep(number);
      const std::uint32_t limit = sweep.limits.concurrency;
      const bool wants = !sweep.ready.empty() && (limit == 0 || sweep.active.size() < limit);
      const bool got = sweep.passed_from + fresh > granted;  // one of this round's grants, or it has just begun to want
      passed[number] = wants && !got ? passed[number] + fresh : 0;
      worst = std::max(worst, passed[number]);
    }
  }
  EXPECT_GT(granted, 1000u);
  EXPECT_LE(worst, kStarving + 2 * most) << "seed " << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Seeds, CoreStarvation, ::testing::Range<std::uint64_t>(1, 9));

}  // namespace
}  // namespace fathom::core::test
