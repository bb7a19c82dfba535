// Failures: what is tried again, how long it waits, who is to blame for a crash.
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

sweeps::Plan adapters(int count, std::uint32_t retries = 3) {
  Planner make;
  make.stage("adapter", Kind::adapter);
  for (int i = 0; i < count; ++i) make.adapter("t" + std::to_string(i));
  make.plan.retry.max = retries;
  return make.plan;
}

TEST(CoreFaults, RetryMaxCountsTheRetriesAfterTheFirstAttempt) {
  Rig rig;
  FakeWorker& worker = rig.worker("w");
  rig.submit(adapters(1, 3));
  const JobNumber job = rig.number(0);
  for (std::uint32_t attempt = 1; attempt <= 4; ++attempt) {
    ASSERT_EQ(rig.phase(0), Phase::leased) << attempt;
    EXPECT_EQ(rig.job(0).attempt, attempt);
    worker.started(job);
    worker.fail(job, "data");
    if (attempt < 4) {
      EXPECT_EQ(rig.phase(0), Phase::backoff);
    }
    rig.tick(Millis(300'000));
  }
  EXPECT_EQ(rig.phase(0), Phase::failed);
  EXPECT_EQ(std::get<Failed>(rig.job(0).state).error_class, "data");
  EXPECT_EQ(std::get<Failed>(rig.job(0).state).message, "it broke");
  EXPECT_EQ(rig.sweep().outcome, "failed");
}

TEST(CoreFaults, ClassesInNotOnAreNeverTriedAgain) {
  for (const char* error_class : {"config", "diverged"}) {
    Rig rig;
    FakeWorker& worker = rig.worker("w");
    rig.submit(adapters(1));
    worker.fail(rig.number(0), error_class);
    EXPECT_EQ(rig.phase(0), std::string(error_class) == "config" ? Phase::failed : Phase::diverged);
  }
}

TEST(CoreFaults, ADivergedJobIsTriedAgainWhereTheFileAllowsIt) {
  Rig rig;
  sweeps::Plan plan = adapters(1, 1);
  plan.retry.not_on = {"config"};
  FakeWorker& worker = rig.worker("w");
  rig.submit(plan);
  worker.fail(rig.number(0), "diverged");
  EXPECT_EQ(rig.phase(0), Phase::backoff);
  rig.tick(Millis(2'000));
  worker.fail(rig.number(0), "diverged");
  EXPECT_EQ(rig.phase(0), Phase::diverged);
}

TEST(CoreFaults, ACrashThatWasSharedCountsForNobodyAndItsJobsRunAloneNext) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {3});
  rig.submit(adapters(3));
  for (std::uint32_t i = 0; i < 3; ++i) worker.started(rig.number(i));
  for (std::uint32_t i = 0; i < 3; ++i) worker.fail(rig.number(i), "crash", false);
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(rig.job(i).failures, 0u);
    EXPECT_TRUE(rig.job(i).suspect);
  }
  rig.tick(Millis(2'000));
  ASSERT_EQ(worker.jobs(), (std::vector{rig.number(0)}));  // one at a time, although there are three slots
  EXPECT_TRUE(worker.held[rig.number(0)].assign.alone);
  EXPECT_NE(explain(rig.state(), rig.job(1)).find("alone"), std::string::npos);
  worker.started(rig.number(0));
  worker.finish(rig.number(0), 0.5);
  EXPECT_EQ(worker.jobs(), (std::vector{rig.number(1)}));
}

TEST(CoreFaults, APoisonJobFailsAloneAndItsNeighboursFinish) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {2});
  rig.submit(adapters(4, 2));
  const JobNumber poison = rig.number(1);
  int crashes = 0;
  for (int step = 0; step < 200 && rig.sweep().outcome.empty(); ++step) {
    const auto jobs = worker.jobs();
    for (const JobNumber job : jobs) {
      if (worker.held[job].sequence == 0) worker.started(job);
    }
    if (worker.holds(poison)) {  // it takes everything on the device with it
      ++crashes;
      const bool alone = jobs.size() == 1 && worker.held[poison].assign.alone;
      for (const JobNumber job : jobs) worker.fail(job, "crash", alone);
    } else if (!jobs.empty()) {
      worker.finish(jobs.front(), 0.5);
    }
    rig.tick(Millis(10'000));
    worker.beat();
  }
  EXPECT_EQ(rig.phase(1), Phase::failed);
  EXPECT_EQ(std::get<Failed>(rig.job(1).state).error_class, "crash");
  EXPECT_EQ(rig.count(Phase::succeeded), 3u);
  EXPECT_EQ(crashes, 4);  // once with a neighbour, then retry.max + 1 times alone
}

TEST(CoreFaults, ASuspectIsNotStarvedByJobsThatKeepEveryDeviceBusy) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {2, 2});
  rig.submit(adapters(30));
  const JobNumber suspect = rig.number(0);
  for (const JobNumber job : worker.jobs()) worker.started(job);
  worker.fail(suspect, "crash", false);
  rig.tick(Millis(2'000));
  int finished = 0;
  while (!worker.holds(suspect) && finished < 10) {
    worker.beat();
    for (const JobNumber job : worker.jobs()) {
      if (worker.held[job].sequence == 0) worker.started(job);
    }
    // Ends in turn on both devices, so that neither is ever empty by chance.
    worker.finish(worker.jobs()[static_cast<std::size_t>(finished % 2)], 0.5);
    ++finished;
  }
  EXPECT_TRUE(worker.holds(suspect));
}

TEST(CoreFaults, ALossThatTheWorkerReportsIsNoFailure) {
  Rig rig;
  FakeWorker& worker = rig.worker("w");
  rig.submit(adapters(1, 0));
  worker.started(rig.number(0));
  worker.fail(rig.number(0), "lost");
  EXPECT_EQ(rig.phase(0), Phase::backoff);
  EXPECT_EQ(rig.job(0).failures, 0u);
}

TEST(CoreFaults, OutOfMemoryIsTriedOnceMoreWithTheDeviceToItself) {
  Rig rig;
  FakeWorker& worker = rig.worker("w", {2});
  rig.submit(adapters(1));
  worker.started(rig.number(0));
  worker.fail(rig.number(0), "oom");
  EXPECT_TRUE(rig.job(0).suspect);
  EXPECT_EQ(rig.job(0).failures, 1u);
  rig.tick(Millis(2'000));
  ASSERT_TRUE(worker.held.at(rig.number(0)).assign.alone);
  worker.fail(rig.number(0), "oom", true);
  EXPECT_EQ(std::get<Failed>(rig.job(0).state).error_class, "oom");
}

TEST(CoreFaults, AJobThatKeepsLosingItsWorkersRunsAlone) {
  for (const bool comes_back : {false, true}) {
    Rig rig;
    FakeWorker& worker = rig.worker("w", {2});
    rig.submit(adapters(2));
    const JobNumber job = rig.number(0);
    for (int loss = 1; loss <= 3; ++loss) {
      EXPECT_FALSE(rig.job(0).suspect) << loss;
      ASSERT_TRUE(worker.holds(job));
      worker.started(job);
      worker.held.erase(job);
      if (comes_back) {
        worker.join();
      } else {
        worker.gone();
        rig.tick(Millis(15'000));
        rig.tick(Millis(10'000));
        worker.join();
      }
    }
    EXPECT_TRUE(rig.job(0).suspect);
    EXPECT_EQ(rig.job(0).failures, 0u);
    EXPECT_EQ(rig.job(0).losses, 3u);
  }
}

TEST(CoreFaults, WaitsDoubleUpToTheCapAndTheJitterIsTheSameEachTime) {
  const Options options{Millis(15'000), Millis(1'000), Millis(300'000)};
  for (std::uint32_t tries = 1; tries < 40; ++tries) {
    const double expected = std::min(1'000.0 * static_cast<double>(1ULL << std::min(tries - 1, 20U)), 300'000.0);
    const auto delay = static_cast<double>(backoff_delay(options, JobNumber(7), tries, tries).count());
    EXPECT_GE(delay, 0.8 * expected - 1) << tries;
    EXPECT_LE(delay, 1.2 * expected) << tries;
    EXPECT_EQ(backoff_delay(options, JobNumber(7), tries, tries), backoff_delay(options, JobNumber(7), tries, tries));
  }
  std::set<Millis> spread;
  for (std::uint64_t job = 1; job <= 100; ++job) spread.insert(backoff_delay(options, JobNumber(job), 1, 1));
  EXPECT_GT(spread.size(), 50u);  // a hundred jobs of one lost worker do not come back in one moment
}

TEST(CoreFaults, MoreFailuresThanTheLimitCancelTheRestOfTheSweep) {
  Rig rig;
  sweeps::Plan plan = adapters(6);
  plan.limits.failed = 1;
  FakeWorker& worker = rig.worker("w", {2});
  rig.submit(plan);
  worker.fail(rig.number(0), "config");
  EXPECT_FALSE(rig.sweep().cancel_cause);
  worker.fail(rig.number(1), "config");
  ASSERT_TRUE(rig.sweep().cancel_cause);
  EXPECT_EQ(rig.count(Phase::failed), 2u);
  EXPECT_EQ(rig.count(Phase::cancelled), 3u);
  EXPECT_EQ(worker.stops.size(), 1u);  // the one that took the first slot; the second slot is not given out again
  for (const JobNumber job : worker.jobs()) worker.stopped(job, 0.1);
  EXPECT_EQ(rig.sweep().outcome, "failed");
  EXPECT_NE(rig.sweep().cancel_cause->find("limits.failed"), std::string::npos);
}

TEST(CoreFaults, ASweepThatTakesTooLongIsCancelled) {
  Rig rig;
  sweeps::Plan plan = adapters(2);
  plan.limits.wall_seconds = 60;
  rig.submit(plan);
  rig.tick(Millis(59'999));
  EXPECT_FALSE(rig.sweep().cancel_cause);
  rig.tick(Millis(1));
  EXPECT_EQ(rig.count(Phase::cancelled), 2u);
  EXPECT_EQ(rig.sweep().outcome, "failed");
}

TEST(CoreFaults, AJobThatRunsTooLongIsStoppedAndFails) {
  Rig rig;
  sweeps::Plan plan = adapters(1);
  plan.limits.job_wall_seconds = 10;
  FakeWorker& worker = rig.worker("w");
  rig.submit(plan);
  const JobNumber job = rig.number(0);
  rig.tick(Millis(10'000));  // waiting for its start does not count
  EXPECT_EQ(rig.phase(0), Phase::leased);
  worker.started(job);
  worker.beat();
  rig.tick(Millis(10'000));
  EXPECT_EQ(rig.phase(0), Phase::limiting);
  EXPECT_EQ(worker.stops.at(job), "cancel");
  worker.stopped(job, 0.5);
  EXPECT_EQ(std::get<Failed>(rig.job(0).state).error_class, "job_wall");
  EXPECT_NE(std::get<Failed>(rig.job(0).state).message.str().find("10 s"), std::string::npos);
}

TEST(CoreFaults, AJobsWallGoesOnAcrossARestartOfTheCoordinator) {
  Rig rig;
  sweeps::Plan plan = adapters(1);
  plan.limits.job_wall_seconds = 20;
  FakeWorker& worker = rig.worker("w");
  rig.submit(plan);
  worker.started(rig.number(0));
  rig.tick(Millis(12'000));
  rig.restart();
  worker.join();
  rig.tick(Millis(7'999));
  EXPECT_EQ(rig.phase(0), Phase::running);
  rig.tick(Millis(1));
  EXPECT_EQ(rig.phase(0), Phase::limiting);
}

// Row 25.
TEST(CoreFaults, ADeviceWhereTrainersHangIsExcludedUntilItsWorkerIsStartedAgain) {
  Rig rig;
  FakeWorker& bad = rig.worker("bad");
  rig.submit(adapters(2, 20));
  const auto hang = [&] {
    ASSERT_EQ(bad.jobs().size(), 1u);
    bad.fail(bad.jobs().front(), "crash", true, true);
    rig.tick(Millis(300'000));
    bad.beat();
  };
  hang(), hang();
  const auto& device = rig.state().workers.front().devices.front();
  EXPECT_EQ(device.strikes, 2u);
  bad.finish(bad.jobs().front(), 0.5);
  EXPECT_EQ(device.strikes, 0u) << "only strikes in a row count";
  hang(), hang();
  EXPECT_FALSE(bad.jobs().empty());
  const std::uint32_t failures = rig.state().job(bad.jobs().front())->failures;
  const JobNumber job = bad.jobs().front();
  bad.fail(job, "crash", true, true);
  rig.tick(Millis(300'000));
  EXPECT_TRUE(device.excluded);
  EXPECT_EQ(rig.state().job(job)->failures, failures + 1);
  EXPECT_TRUE(bad.jobs().empty());
  EXPECT_NE(explain(rig.state(), *rig.state().job(job)).find("excluded"), std::string::npos);
  rig.take_snapshot();
  rig.restart();
  bad.join();
  EXPECT_TRUE(bad.jobs().empty()) << "a line that comes back changes nothing";
  FakeWorker& good = rig.worker("good");
  ASSERT_TRUE(good.holds(job));
  good.finish(job, 0.5);
  rig.submit(adapters(2));
  good.gone();
  EXPECT_EQ(rig.count(Phase::ready), 1u);
  bad.join(true);
  EXPECT_EQ(rig.count(Phase::ready), 0u) << "a new process is tried again";
}

}  // namespace
}  // namespace fathom::core::test
