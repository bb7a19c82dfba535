// Decisions made again from a log: equal to what it says, and a changed one is found.
#include "coordinator/core/recheck.hpp"

#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

// Two seeds, stopping, a dependent on the best; failures, a lost worker and a restart in between.
struct CoreRecheck : ::testing::Test {
  CoreRecheck() {
    Planner make;
    make.stage("adapter", Kind::adapter).stop(2, 1, 4);
    std::vector<sweeps::JobIndex> all;
    for (int i = 0; i < 6; ++i) all.push_back(make.adapter("mr", 0.001 * (i + 1)));
    make.stage("evaluate", Kind::evaluate).taking("mr", {best_of("source", all)});
    FakeWorker& worker = rig.worker("w", {3});
    rig.submit(make.plan);
    rig.submit(make.plan, "another");
    for (int round = 0; round < 60 && rig.state().open_sweeps.size() != 0; ++round) {
      for (const JobNumber job : worker.jobs()) {
        worker.started(job);
        if (worker.stops.contains(job)) continue;
        if (round == 3) worker.fail(job, "data");
        if (round == 3) continue;
        const auto index = static_cast<double>((job.value() * 7) % 5);
        for (std::uint32_t epoch = 1; epoch <= 4 && !worker.stops.contains(job); ++epoch)
          worker.report(job, epoch, 0.1 * index);
        if (!worker.stops.contains(job)) worker.finish(job, 0.1 * index);
      }
      for (const auto& [job, cause] : std::map(worker.stops)) {
        if (worker.holds(job)) worker.stopped(job, 0.1);
      }
      if (round == 5) rig.restart(), worker.join();
      rig.tick(Millis(2'000));
    }
  }

  std::vector<event::Event> events() const {
    std::vector<event::Event> out;
    for (const std::string& bytes : rig.log) EXPECT_TRUE(out.emplace_back().ParseFromString(bytes));
    return out;
  }
  // The plan of the log's text is not in it: tests submit plans.
  Status take(Recheck& recheck, const std::vector<event::Event>& all) const {
    for (const event::Event& event : all) {
      if (event.has_sweep_submitted()) {
        FATHOM_TRY(recheck.take(event, rig.plans.at(event.sweep_submitted().resolved())));
      } else {
        FATHOM_TRY(recheck.take(event));
      }
    }
    recheck.end();
    return success();
  }
  Rig rig;
};

TEST_F(CoreRecheck, ALogIsIdentical) {
  Recheck recheck;
  ASSERT_TRUE(take(recheck, events()).ok());
  EXPECT_FALSE(recheck.difference()) << recheck.difference()->logged << " | " << recheck.difference()->again;
  EXPECT_GT(recheck.decisions(), 40u);
  EXPECT_EQ(digest(recheck.state()), digest(rig.state()));
}

TEST_F(CoreRecheck, OneSweepIsComparedByItself) {
  Recheck all, one(rig.state().sweeps.front().id);
  ASSERT_TRUE(take(all, events()).ok());
  ASSERT_TRUE(take(one, events()).ok());
  EXPECT_GT(one.decisions(), 0u);
  EXPECT_LT(one.decisions(), all.decisions());
}

TEST_F(CoreRecheck, AChangedVerdictIsTheFirstDifference) {
  auto changed = events();
  std::uint64_t seq = 0;
  for (event::Event& event : changed) {
    if (!event.has_rung_entered() || !event.rung_entered().keep_going()) continue;
    event.mutable_rung_entered()->set_value(event.rung_entered().value() + 0.001);
    seq = event.seq();
    break;
  }
  ASSERT_NE(seq, 0u);
  Recheck recheck;
  (void)take(recheck, changed);
  ASSERT_TRUE(recheck.difference());
  EXPECT_EQ(recheck.difference()->seq, seq);
  EXPECT_NE(recheck.difference()->logged.find("rung_entered"), std::string::npos);
  EXPECT_NE(recheck.difference()->logged, recheck.difference()->again);
}

TEST_F(CoreRecheck, ALogThatLacksADecisionSaysSo) {
  auto cut = events();
  while (!cut.back().has_sweep_ended()) cut.pop_back();
  cut.pop_back();
  Recheck recheck;
  ASSERT_TRUE(take(recheck, cut).ok());
  ASSERT_TRUE(recheck.difference());
  EXPECT_EQ(recheck.difference()->seq, cut.size() + 1);
  EXPECT_TRUE(recheck.difference()->logged.empty());
}

}  // namespace
}  // namespace fathom::core::test
