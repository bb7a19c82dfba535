// Rows of docs/reliability.md that need a world of their own, and what the simulation promises of itself.
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <functional>
#include <map>

#include "coordinator/core/inspect.hpp"
#include "coordinator/core/machine.hpp"
#include "tests/sim/sim_coordinator.hpp"
#include "tests/sim/sim_worker.hpp"
#include "tests/sim/world.hpp"

namespace fathom::sim {
namespace {

class Simulation : public testing::Test {
 protected:
  void SetUp() override { spdlog::set_level(spdlog::level::off); }
  void TearDown() override { spdlog::set_level(spdlog::level::info); }

  // Steps until it holds; false: not within `limit` of virtual time.
  static bool wait(World& world, Millis limit, const std::function<bool()>& wanted) {
    const TimePoint until = world.scheduler.now() + limit;
    while (!wanted()) {
      if (world.scheduler.now() > until || !world.step()) return false;
    }
    return true;
  }
};

// Row 13.
TEST_F(Simulation, AHundredWorkersComeBackWithinFiveSecondsAndNotInStep) {
  WorldOptions options;
  options.workers = 100;
  options.sweeps = 1;
  options.fault_every = Millis(0);
  World world(options);
  const auto all_since = [&](TimePoint since) {
    return std::ranges::all_of(world.workers, [&](const auto& worker) { return worker->welcomed() >= since; });
  };
  ASSERT_TRUE(wait(world, Millis(10'000), [&] { return all_since(TimePoint{} + Millis(1)); }));
  const TimePoint begin = world.scheduler.now();
  ASSERT_TRUE(wait(world, Millis(2'000), [&] { return world.scheduler.now() > begin + Millis(1'000); }));
  world.coordinator->die("kill -9", false, Millis(30'000));
  ASSERT_TRUE(wait(world, Millis(40'000), [&] { return world.coordinator->up(); }));
  const TimePoint back = world.scheduler.now();
  ASSERT_TRUE(wait(world, Millis(5'000), [&] { return all_since(back); }));
  // Spread over the pause, not all in one moment.
  std::map<std::int64_t, int> in_tenths;
  for (const auto& worker : world.workers) ++in_tenths[(worker->welcomed() - back).count() / 100];
  for (const auto& [tenth, count] : in_tenths) EXPECT_LE(count, 25) << "in tenth " << tenth << " of a second";
  // Nobody's job was lost by it: what ran goes on as it was.
  EXPECT_TRUE(world.run().broken.empty());
  for (const core::Job* job : core::all_jobs(*world.coordinator->state())) EXPECT_EQ(job->attempt, 1U);
}

// In every third world the second sweep asks for what the first asked for.
TEST_F(Simulation, ResultsAreTakenAcrossSweeps) {
  WorldOptions options;
  options.seed = 3;
  options.fault_every = Millis(0);
  World world(options);
  EXPECT_TRUE(world.run().broken.empty());
  const auto& kinds = world.checker.event_kinds();
  ASSERT_TRUE(kinds.contains("job_reused"));
  EXPECT_GE(kinds.at("job_reused"), 8U);  // its adapters
}

TEST_F(Simulation, TheSameSeedMakesTheSameHistory) {
  WorldOptions options;
  options.seed = 4242;
  const WorldReport first = World(options).run();
  const WorldReport second = World(options).run();
  EXPECT_TRUE(first.broken.empty()) << first.broken.front();
  EXPECT_EQ(first.steps, second.steps);
  EXPECT_EQ(first.events, second.events);
  EXPECT_EQ(first.time, second.time);
  EXPECT_EQ(first.coverage.table(), second.coverage.table());
  options.seed = 4243;
  EXPECT_NE(World(options).run().steps, first.steps);
}

TEST_F(Simulation, WithoutFaultsAJobNeedsAnotherAttemptOnlyAfterARest) {
  WorldOptions options;
  options.fault_every = Millis(0);
  options.sweeps = 2;  // the third has limits, which end some
  World world(options);
  const WorldReport report = world.run();
  EXPECT_TRUE(report.broken.empty()) << report.broken.front();
  EXPECT_GT(report.coverage.events.at("rung_entered"), 0U);
  const core::State& state = *world.coordinator->state();
  EXPECT_EQ(state.jobs(), 40U);
  std::uint32_t paused = 0;
  for (const core::Job* one : core::all_jobs(state)) {
    const core::Job& job = *one;
    EXPECT_EQ(job.failures + job.losses, 0U);
    // A job that rests at a rung comes back as another attempt.
    const core::Sweep& sweep = *state.sweep(job.sweep);
    const bool pauses = core::is_grouped(sweep, job) && sweep.groups[sweep.group_of[job.index]].stopper.pauses();
    EXPECT_TRUE(pauses || job.attempt == 1) << "job " << job.number.value() << " took " << job.attempt << " attempts";
    paused += job.attempt > 1 ? 1 : 0;
  }
  EXPECT_GT(paused, 0U) << "no job rested at a rung";
}

}  // namespace
}  // namespace fathom::sim
