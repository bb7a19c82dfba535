// Row 24: who is slow beside its peers, and who is only alone, early or late to report.
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

struct CorePaces : ::testing::Test {
  // Three jobs of one task, of which the last is slow, and one of another task.
  CorePaces() {
    Planner make;
    make.stage("adapter", Kind::adapter);
    for (const char* task : {"mr", "mr", "mr", "other"}) make.adapter(task, 0.001 * static_cast<double>(++rates));
    worker = &rig.worker("w", {4});
    rig.submit(make.plan);
    for (const JobNumber job : worker->jobs()) worker->started(job);
  }
  void pass(Millis time) {
    rig.tick(time);
    worker->beat();
  }
  // Epochs of the two quick ones.
  void epochs(std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t epoch = from; epoch <= to; ++epoch) {
      pass(Millis(4'000));
      worker->report(rig.number(0), epoch, 0.5), worker->report(rig.number(1), epoch, 0.5);
    }
  }
  std::map<JobNumber, Straggler> slow() { return rig.core->paces().stragglers(rig.state(), rig.now.mono); }
  Rig rig;
  FakeWorker* worker = nullptr;
  int rates = 0;
};

TEST_F(CorePaces, AJobWhoseEpochTakesTenMediansIsSlow) {
  epochs(1, 9);
  EXPECT_TRUE(slow().empty()) << "36 s, nine medians";
  epochs(10, 10);
  ASSERT_EQ(slow().size(), 1u) << "the one of the other task has no peers";
  EXPECT_EQ(slow().begin()->first, rig.number(2));
  EXPECT_EQ(slow().begin()->second.epoch, Millis(40'000));
  EXPECT_EQ(slow().begin()->second.median, Millis(4'000));
  worker->report(rig.number(2), 1, 0.5);
  EXPECT_EQ(slow().size(), 1u) << "its last epoch was that slow";
  pass(Millis(4'000));
  worker->report(rig.number(2), 2, 0.5);
  EXPECT_TRUE(slow().empty()) << "it has caught up";
}

TEST_F(CorePaces, NobodyIsSlowBeforeThereAreEnoughEpochsOrWithoutALease) {
  epochs(1, 2);
  for (int i = 0; i < 25; ++i) pass(Millis(4'000));  // within its lease
  EXPECT_TRUE(slow().empty()) << "four epochs are too few to tell";
  epochs(3, 3);
  EXPECT_EQ(slow().count(rig.number(2)), 1u);
  worker->fail(rig.number(2), "crash", true);
  EXPECT_EQ(slow().count(rig.number(2)), 0u);
}

TEST_F(CorePaces, AStartKnowsNothingYet) {
  epochs(1, 20);
  EXPECT_EQ(slow().size(), 1u);
  rig.restart();
  worker->join();
  EXPECT_TRUE(slow().empty());
}

}  // namespace
}  // namespace fathom::core::test
