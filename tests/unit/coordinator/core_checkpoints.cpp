// Which checkpoints of a job stay (`checkpoint.keep`): the newest, the one before it for when the newest turns out to
// be damaged, and the best one.
#include <algorithm>
#include <iterator>

#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;
using Names = std::set<std::string>;

// The reference's vector: smaller is better, T1 has checkpoints 1-5 with values -, -, .6, .5, .4, T2 has 6-10 with -,
// .2, .3, -, -.
struct CoreCheckpoints : ::testing::Test {
  CoreCheckpoints() {
    Planner make;
    make.plan.goal = sweeps::Goal::minimize;
    make.stage("adapter", Kind::adapter);
    make.adapter("mr", 0.1), make.adapter("mr", 0.2);
    worker = &rig.worker("w", {2});
    rig.submit(make.plan);
    for (const std::uint32_t trial : {0U, 1U}) {
      worker->started(rig.number(trial));
      for (std::uint32_t i = 1; i <= 5; ++i) {
        const std::uint32_t number = 5 * trial + i;
        const bool best = number == 3 || number == 4 || number == 5 || number == 7;
        worker->checkpoint(rig.number(trial), i, std::to_string(number), best);
      }
    }
  }
  // What both jobs have in a slot, or in several.
  Names in(const std::vector<KeptCheckpoint Checkpoints::*>& slots) const {
    Names out;
    for (const std::uint32_t trial : {0U, 1U}) {
      for (const auto slot : slots) {
        if (const auto& one = (*rig.job(trial).progress->checkpoints).*slot) out.insert(one->sha256.str());
      }
    }
    return out;
  }
  Rig rig;
  FakeWorker* worker = nullptr;
};

// Rows (best of the experiment, best of each trial, latest of each). Ours is fixed: the best, the newest and the one
// before it of each job, whatever other jobs have.
TEST_F(CoreCheckpoints, Vector22RowsThatCountByJob) {
  EXPECT_EQ(in({&Checkpoints::best}), (Names{"7", "5"}));                              // (0, 1, 0)
  EXPECT_EQ(in({&Checkpoints::latest}), (Names{"10", "5"}));                           // (0, 0, 1)
  EXPECT_EQ(in({&Checkpoints::best, &Checkpoints::latest}), (Names{"10", "7", "5"}));  // (0, 1, 1)
  EXPECT_EQ(in({&Checkpoints::latest, &Checkpoints::older}), (Names{"10", "9", "5", "4"}));
  EXPECT_EQ(Names(rig.released.begin(), rig.released.end()), (Names{"1", "2", "3", "6", "8"}));
}

// The others: what ours lacks of what Determined keeps, and has beside it.
TEST_F(CoreCheckpoints, Vector22RowsThatCountOtherwise) {
  const Names ours = in({&Checkpoints::best, &Checkpoints::latest, &Checkpoints::older});
  EXPECT_EQ(ours, (Names{"10", "9", "7", "5", "4"}));
  struct Row {
    Names determined, lacking, beside;
  };
  for (const Row& row : {Row{{}, {}, {"10", "9", "7", "5", "4"}},                  // (0, 0, 0)
                         Row{{"8", "7"}, {"8"}, {"10", "9", "5", "4"}},            // (2, 0, 0)
                         Row{{"10", "9", "8", "5", "4", "3"}, {"8", "3"}, {"7"}},  // (0, 0, 3)
                         Row{{"8", "7", "5"}, {"8"}, {"10", "9", "4"}},            // (2, 1, 0)
                         Row{{"10", "8", "7", "5"}, {"8"}, {"9", "4"}}}) {         // (2, 1, 1)
    Names lacking, beside;
    std::ranges::set_difference(row.determined, ours, std::inserter(lacking, lacking.end()));
    std::ranges::set_difference(ours, row.determined, std::inserter(beside, beside.end()));
    EXPECT_EQ(lacking, row.lacking);
    EXPECT_EQ(beside, row.beside);
  }
}

// `keep.latest`: so many of the newest, and the one before them.
TEST(CoreCheckpointsKept, SoManyOfTheNewestAndOneMore) {
  Rig rig;
  Planner make;
  make.plan.keep_latest = 3;
  make.stage("adapter", Kind::adapter);
  make.adapter("mr", 0.1);
  FakeWorker& worker = rig.worker("w");
  rig.submit(make.plan);
  worker.started(rig.number(0));
  for (std::uint32_t i = 1; i <= 6; ++i) worker.checkpoint(rig.number(0), i, std::to_string(i), i == 1);
  EXPECT_EQ(rig.released, (std::vector<std::string>{"2"}));  // the first is the best
  worker.checkpoint(rig.number(0), 7, "7", true);
  EXPECT_EQ(rig.released, (std::vector<std::string>{"2", "3", "1"}));
  rig.take_snapshot();
  rig.restart();
  worker.gone();
  rig.tick(Millis(15'000));
  rig.tick(Millis(0));
  FakeWorker& second = rig.worker("second");
  ASSERT_TRUE(second.holds(rig.number(0)));
  const SendAssign& assign = second.held[rig.number(0)].assign;
  std::vector<std::string> offered = {assign.resume->file.sha256, assign.resume_older->file.sha256};
  for (const Checkpoint& earlier : assign.resume_earlier) offered.push_back(earlier.file.sha256);
  EXPECT_EQ(offered, (std::vector<std::string>{"7", "6", "5", "4"}));
}

// Ended jobs keep theirs: the newest serves `fathom extend`.
TEST_F(CoreCheckpoints, StayWhenTheJobsHaveEnded) {
  const Names before = in({&Checkpoints::best, &Checkpoints::latest, &Checkpoints::older});
  for (const std::uint32_t trial : {0U, 1U}) worker->finish(rig.number(trial), 0.4);
  EXPECT_EQ(in({&Checkpoints::best, &Checkpoints::latest, &Checkpoints::older}), before);
  EXPECT_EQ(rig.released.size(), 5u);
}

// Also in a state that a snapshot gave.
TEST_F(CoreCheckpoints, WhatIsAlikeIsInMemoryOnce) {
  const auto look = [this] {
    const Checkpoints& one = *rig.job(0).progress->checkpoints;
    EXPECT_EQ(one.best, one.latest);
    EXPECT_NE(one.older, one.latest);
    const SmallCheckpoint& other = *rig.job(1).progress->checkpoints->latest;
    EXPECT_EQ(one.latest->path.view().data(), other.path.view().data());
    const auto counted = rig.state().checkpoint_uses.find(other.sha256);
    ASSERT_NE(counted, rig.state().checkpoint_uses.end());
    EXPECT_EQ(counted->first.view().data(), other.sha256.view().data());
  };
  look();
  rig.take_snapshot();
  rig.restart();
  look();
}

}  // namespace
}  // namespace fathom::core::test
