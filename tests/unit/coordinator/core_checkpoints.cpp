// Which checkpoints of a job stay (`checkpoint.keep`): the newest, the one before it for when the newest turns out to
// be damaged, and the best one.
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

// The reference's vector: smaller is better, T1 has checkpoints 1-5 with values -, -, .6, .5, .4, T2 has 6-10 with -,
// .2, .3, -, -. Ours is its row (0, 1, 1), 10, 7, 5, and of each trial the one before the newest: 9 and 4. Rows that
// count over a whole sweep have no counterpart.
TEST(CoreCheckpoints, Vector22TrialBestAndLatest) {
  Rig rig;
  Planner make;
  make.stage("adapter", Kind::adapter);
  make.adapter("mr", 0.1), make.adapter("mr", 0.2);
  FakeWorker& worker = rig.worker("w", {2});
  rig.submit(make.plan);
  for (const std::uint32_t trial : {0U, 1U}) {
    worker.started(rig.number(trial));
    for (std::uint32_t i = 1; i <= 5; ++i) {
      const std::uint32_t number = 5 * trial + i;
      const bool best = number == 3 || number == 4 || number == 5 || number == 7;
      worker.checkpoint(rig.number(trial), i, std::to_string(number), best);
    }
  }
  const auto kept = [&](std::uint32_t trial) {
    std::set<std::string> out;
    const Job& job = rig.job(trial);
    for (const auto* slot : {&job.latest_checkpoint, &job.older_checkpoint, &job.best_checkpoint}) {
      if (*slot) out.insert((*slot)->file.sha256);
    }
    return out;
  };
  EXPECT_EQ(kept(0), (std::set<std::string>{"4", "5"}));
  EXPECT_EQ(kept(1), (std::set<std::string>{"7", "9", "10"}));
  EXPECT_EQ(std::set<std::string>(rig.released.begin(), rig.released.end()),
            (std::set<std::string>{"1", "2", "3", "6", "8"}));
}

}  // namespace
}  // namespace fathom::core::test
