// Sweeps that ended leave memory, and come back as they were for who asks for them.
#include "coordinator/core/cache.hpp"
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

// Adapters with ids of their own ("a00…1" is the second in every plan), of which other sweeps take results.
sweeps::Plan adapters(int count, bool stops = false) {
  Planner make;
  make.plan.cache.use = true;
  make.plan.retry.max = 0;
  make.stage("adapter", Kind::adapter);
  if (stops) make.stop(2, 1, 4);
  for (int i = 0; i < count; ++i) {
    const sweeps::JobIndex index = make.adapter("mr", 0.001 * (i + 1));
    make.plan.jobs[index].id = sweeps::JobId(0xa000000000000000 + index);
  }
  return make.plan;
}

class CoreAway : public ::testing::Test {
 protected:
  CoreAway() : worker((rig.put_away(), rig.worker("w", {2}))) {}

  void finish_all(double objective = 0.5) {
    while (!worker.held.empty()) {
      const JobNumber job = worker.jobs().front();
      worker.send(job, item::Started{"cpu:0", "base", "data", 0});
      if (worker.holds(job)) worker.finish(job, objective += 0.01);
    }
  }
  std::uint64_t away() const { return rig.state().sweeps.jobs_away(); }

  Rig rig;
  FakeWorker& worker;
};

// give() compares it with a state that has everything in memory, after each step.
TEST_F(CoreAway, AnEndedSweepIsPutAwayAndComesBackAsItWas) {
  rig.submit(adapters(6, true));
  for (const JobNumber job : worker.jobs()) worker.started(job);
  worker.report(JobNumber(1), 1, 0.5), worker.checkpoint(JobNumber(1), 1, "c1");
  worker.report(JobNumber(2), 1, 0.1);
  worker.stopped(JobNumber(2), 0.1);
  worker.fail(worker.jobs().back(), "data");
  EXPECT_EQ(away(), 0u);
  finish_all();
  ASSERT_TRUE(rig.state().open_sweeps.empty());
  EXPECT_EQ(away(), 6u);
  EXPECT_EQ(rig.state().sweeps.counts(), rig.replica.sweeps.front().counts);
  const int before = rig.shelf->brought;
  const Job& job = *rig.state().job(JobNumber(1));
  EXPECT_EQ(rig.shelf->brought, before + 1);
  EXPECT_EQ(away(), 0u);
  EXPECT_TRUE(rig.shelf->kept.empty());
  EXPECT_EQ(job.progress->checkpoints->latest->sha256.str(), "c1");
  EXPECT_EQ(explain(rig.state(), job), explain(rig.replica, *rig.replica.job(JobNumber(1))));
  EXPECT_EQ(rig.state().find_job(rig.state().sweeps.front(), "a000000000000000"), &job);
  rig.tick(Millis(1));
  EXPECT_EQ(away(), 6u);
}

TEST_F(CoreAway, ItsResultsAreTakenAndItStaysAway) {
  rig.checking = false;  // looks at everything
  rig.submit(adapters(4));
  finish_all();
  rig.submit(adapters(4));
  finish_all();
  EXPECT_EQ(rig.logged(event::Event::kJobFinished), 4u);
  EXPECT_EQ(rig.logged(event::Event::kJobReused), 4u);
  EXPECT_EQ(rig.shelf->brought, 0);
  EXPECT_EQ(away(), 8u);
  EXPECT_EQ(digest(rig.state()), digest(rig.replica));
  EXPECT_EQ(rig.shelf->brought, 0);
}

TEST_F(CoreAway, ARetryOpensItAgain) {
  const SweepNumber sweep = rig.submit(adapters(2));
  worker.started(JobNumber(1));
  worker.fail(JobNumber(1), "data");
  finish_all();
  ASSERT_EQ(away(), 2u);
  rig.give(RetrySweep{sweep, "again"});
  EXPECT_EQ(away(), 0u);
  ASSERT_TRUE(worker.holds(JobNumber(1)));
  finish_all();
  EXPECT_EQ(rig.replica.sweeps.front().outcome, "succeeded");
  EXPECT_EQ(away(), 2u);
}

TEST_F(CoreAway, AChangeOfAnEndedSweepIsRefusedAsBefore) {
  const SweepNumber sweep = rig.submit(adapters(1), "a key");
  finish_all();
  ASSERT_EQ(away(), 1u);
  EXPECT_TRUE(rig.give(ChangeSweep{sweep, true}).rejection);
  // The same key gives the same sweep.
  SubmitSweep again;
  again.plan = rig.plans.begin()->second;
  again.resolved = rig.plans.begin()->first, again.idempotency_key = "a key";
  again.expander_version = sweeps::kExpanderVersion;
  const Step step = rig.give(again);
  ASSERT_FALSE(step.rejection);
  EXPECT_EQ(std::get<Submitted>(step.answer).sweep, sweep);
  EXPECT_EQ(away(), 1u);
}

TEST_F(CoreAway, ASnapshotKeepsItAway) {
  rig.submit(adapters(3));
  finish_all();
  rig.submit(adapters(5));
  ASSERT_EQ(away(), 3u);
  rig.take_snapshot();
  const int brought = rig.shelf->brought;
  rig.restart();  // compares with the whole log
  EXPECT_GE(rig.shelf->brought, brought);
  EXPECT_EQ(away(), 3u);
  rig.give(CancelSweep{SweepNumber(2)});
  for (const JobNumber job : worker.jobs()) worker.stopped(job, 0.1);
  EXPECT_EQ(away(), 8u);
  rig.take_snapshot();
  rig.snapshot.at(2).mutable_jobs()->mutable_jobs(0)->set_epoch(77);  // of the first sweep
  Restorer restorer([this](std::uint64_t seq) { return rig.plan_of(seq); }, rig.shelf);
  for (const snapshot::Record& record : rig.snapshot) ASSERT_TRUE(restorer.take(record).ok());
  const auto state = restorer.finish();
  ASSERT_TRUE(state.ok());
  EXPECT_THROW((void)state->job(JobNumber(1)), std::runtime_error);  // another one than was put away
}

TEST_F(CoreAway, NotBeforeItsSubmitIsDurable) {
  rig.shelf->durable = 0;
  rig.submit(adapters(2));
  finish_all();
  EXPECT_EQ(away(), 0u);
  rig.shelf->durable = rig.log.size();
  rig.tick(Millis(1));
  EXPECT_EQ(away(), 2u);
}

TEST_F(CoreAway, AFullShelfLosesNothing) {
  rig.shelf->full = true;
  rig.submit(adapters(2));
  finish_all();
  EXPECT_EQ(away(), 0u);
  rig.shelf->full = false;
  rig.tick(Millis(1));
  EXPECT_EQ(away(), 2u);
}

TEST_F(CoreAway, OneWithAMessageThatIsNotSettledWaits) {
  sweeps::Plan plan = adapters(1);
  plan.notify = {{{"done"}, "https://example.org/", ""}};
  rig.submit(plan);
  finish_all();
  ASSERT_EQ(rig.state().notices.size(), 1u);
  EXPECT_EQ(away(), 0u);
  rig.give(SettleNotice{rig.state().notices.begin()->first, true, ""});
  EXPECT_EQ(away(), 1u);
}

// Against a multimap, with ids that come more than once, through many pieces.
TEST(CoreResultIndex, KnowsAllThatWasAdded) {
  ResultIndex index;
  std::multimap<sweeps::JobId, std::uint32_t> plain;
  std::uint64_t random = 7;
  for (std::uint32_t i = 1; i <= 20'000; ++i) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    const sweeps::JobId id((random >> 33) % 9'000);
    EXPECT_EQ(index.contains(id), plain.contains(id));
    index.add(id, {random, i, 0, i});
    plain.emplace(id, i);
    if (i == 12'345) index.pack();
  }
  EXPECT_EQ(index.size(), plain.size());
  for (std::uint64_t value = 0; value < 9'100; ++value) {
    std::set<std::uint32_t> found, expected;
    index.each(sweeps::JobId(value), [&](const KnownResult& one) { found.insert(one.job); });
    const auto known = plain.equal_range(sweeps::JobId(value));
    for (auto it = known.first; it != known.second; ++it) expected.insert(it->second);
    EXPECT_EQ(found, expected);
    EXPECT_EQ(index.contains(sweeps::JobId(value)), !expected.empty());
  }
  std::size_t all = 0;
  index.all([&](sweeps::JobId, const KnownResult&) { ++all; });
  EXPECT_EQ(all, plain.size());
}

TEST(CoreAwayStay, TheNewestStaysForItsTimeAndOthersUpToANumber) {
  Rig rig;
  rig.checking = false;
  rig.put_away({Millis(60'000), 5});
  FakeWorker& worker = rig.worker("w", {2});
  const auto run = [&](int jobs) {
    sweeps::Plan plan = adapters(jobs);
    plan.cache.use = false;
    rig.submit(plan);
    while (!worker.held.empty()) worker.finish(worker.jobs().front(), 0.5);
  };
  run(2), run(3);
  EXPECT_EQ(rig.state().sweeps.jobs_away(), 0u);  // five are not too many
  run(7);
  EXPECT_EQ(rig.state().sweeps.jobs_away(), 5u);
  for (int i = 0; i < 59; ++i) worker.beat(), rig.tick(Millis(1'000));
  EXPECT_EQ(rig.state().sweeps.jobs_away(), 5u);
  worker.beat(), rig.tick(Millis(1'000));
  EXPECT_EQ(rig.state().sweeps.jobs_away(), 12u);
  EXPECT_EQ(rig.state().sweeps.number_of(JobNumber(3)), SweepNumber(2));
  EXPECT_EQ(rig.state().sweeps.number_of(JobNumber(13)), SweepNumber(0));
  EXPECT_EQ(rig.shelf->brought, 0);
  EXPECT_EQ(rig.state().sweep(SweepNumber(2))->jobs.size(), 3u);
  EXPECT_EQ(rig.shelf->brought, 1);
}

}  // namespace
}  // namespace fathom::core::test
