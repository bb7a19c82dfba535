// ASHA on learning curves of real training (tests/golden/search, recorded by tests/quality/curves.py): 2 tasks × 2
// drops × 12 learning rates, each of ten seeds a sweep of its own. The bar: at least half of the jobs are stopped, and
// in nine of ten seeds the best setting of every group is kept.
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>
#include <vector>

#include <gtest/gtest.h>

#include "coordinator/simulate/simulation.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::simulate {
namespace {

using nlohmann::json;
using PlanPtr = std::shared_ptr<const sweeps::Plan>;

std::string golden(const std::string& name) {
  std::ifstream file(std::string(FATHOM_SOURCE_DIR "/tests/golden/search/") + name);
  EXPECT_TRUE(file) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Found {
  std::vector<int> stopped;  // by seed, of 48 jobs
  int whole = 0;             // seeds that keep the best setting of all groups
};

struct Recorded : ::testing::Test {
  Recorded() : file(golden("asha-curves.json")), curves(Curves::read(file).value()) {
    const json parsed = json::parse(file);
    for (const json& curve : parsed.at("curves")) seeds.insert(curve.at("where").at("seed").get<int>());
  }
  nlohmann::ordered_json compared(int seed, const std::string& stop = "") const {
    sweeps::ParseOptions options;
    options.set = {"seeds=[" + std::to_string(seed) + "]"};
    if (!stop.empty()) options.set.push_back("stages.adapter.stop=" + stop);
    const auto parsed = sweeps::parse(golden("asha.yaml"), options);
    for (const auto& error : parsed.errors) ADD_FAILURE() << sweeps::render(error);
    const auto plan = std::make_shared<const sweeps::Plan>(sweeps::expand(parsed.sweep).value());
    sweeps::Plan whole = *plan;
    for (auto& stage : whole.stages) stage.stop.reset();
    return compare(*plan, run(plan, curves, 4).value(),
                   run(std::make_shared<const sweeps::Plan>(std::move(whole)), curves, 4).value());
  }
  Found found(const std::string& stop) const {
    Found out;
    for (const int seed : seeds) {
      const auto comparison = compared(seed, stop);
      EXPECT_EQ(comparison["jobs"], 48);
      EXPECT_EQ(comparison["groups"].size(), 4u);
      EXPECT_NE(text_of(comparison).find("% saved"), std::string::npos);
      std::cout << "[     seed ] " << seed << ": " << text_of(comparison);
      out.stopped.push_back(comparison["run"]["states"].value("stopped", 0));
      out.whole += comparison["groups_kept"] == 4 ? 1 : 0;
    }
    return out;
  }
  std::string file;
  Curves curves;
  std::set<int> seeds;
};

struct RecordedBar : Recorded, ::testing::WithParamInterface<const char*> {};

TEST_P(RecordedBar, StopsHalfOfTheJobsAndKeepsTheBestSettingOfEveryGroupInNineOfTenSeeds) {
  ASSERT_EQ(seeds.size(), 10u);
  const Found met = found(GetParam());
  for (const int stopped : met.stopped) EXPECT_GE(stopped, 24);
  EXPECT_GE(met.whole, 9);
}

// "": as tests/golden/search/asha.yaml says, which promotes.
INSTANTIATE_TEST_SUITE_P(Asha, RecordedBar,
                         ::testing::Values("", "{method: asha, eta: 3, min: 2, ties: first}",
                                           "{method: asha, eta: 4, min: 2, ties: first}",
                                           "{method: halving, eta: 3, min: 2}"));

// What docs/sweeps.md says does not meet the bar. Dev scores of 200 rows are often equal, and `ties: continue` lets
// every equal one go on; rungs from epoch 1 come before the scores tell the settings apart.
TEST_F(Recorded, PlainStoppingOfEqualScoresOrFromTheFirstEpochFallsShort) {
  const Found equal = found("{method: asha, eta: 3, min: 2}");
  for (const int stopped : equal.stopped) EXPECT_LT(stopped, 24);
  EXPECT_EQ(equal.whole, 10);
  EXPECT_LT(found("{method: asha, eta: 3, min: 1}").whole, 9);
}

}  // namespace
}  // namespace fathom::simulate
