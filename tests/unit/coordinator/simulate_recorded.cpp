// ASHA on learning curves of real training (tests/golden/search, recorded by tests/quality/curves.py): 2 tasks × 2
// drops × 12 learning rates, each seed a sweep of its own.
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

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
  std::string file;
  Curves curves;
  std::set<int> seeds;
};

TEST_F(Recorded, AshaStopsHalfOfTheJobsAndKeepsTheBestSettingOfEveryGroupInNineOfTenSeeds) {
  ASSERT_FALSE(seeds.empty());
  std::size_t whole = 0;
  for (const int seed : seeds) {
    const auto comparison = compared(seed);
    EXPECT_EQ(comparison["jobs"], 48);
    EXPECT_EQ(comparison["groups"].size(), 4u);
    EXPECT_GE(comparison["run"]["states"].value("stopped", 0), 24) << "seed " << seed;
    EXPECT_GE(comparison["saved"].get<double>(), 0.25) << "seed " << seed;
    EXPECT_NE(text_of(comparison).find("% saved"), std::string::npos);
    std::cout << "[     seed ] " << seed << ": " << text_of(comparison);
    whole += comparison["groups_kept"] == 4 ? 1 : 0;
  }
  EXPECT_GE(10 * whole, 9 * seeds.size());
}

}  // namespace
}  // namespace fathom::simulate
