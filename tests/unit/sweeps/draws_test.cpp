// Samplers that draw: random and sobol.
#include "sweeps/search/draws.hpp"

#include <cmath>
#include <set>

#include "sweeps/schema/schema.hpp"
#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {
namespace {

std::string search_file(const std::string& search, const std::string& parameters) {
  return file_with("search: {" + search + "}\nparameters: {" + parameters + "}\nstages: {adapter: {}}\n");
}

std::vector<double> learning_rates(const Plan& plan) {
  std::vector<double> out;
  for (const Job& job : plan.jobs) {
    if (job.task == "a") out.push_back(job.parameters.at("train.lr"));
  }
  return out;
}

TEST(Draws, OneListIsSharedByTasksDropsAndSeeds) {
  const Plan plan =
      planned(search_file("sampler: random, trials: 5", "lr: {min: 1e-5, max: 1e-3, scale: log}") + "seeds: [1, 2]\n");
  EXPECT_EQ(plan.jobs.size(), 2u * 5 * 2);
  std::set<double> all;
  for (const Job& job : plan.jobs) all.insert(job.parameters.at("train.lr").get<double>());
  EXPECT_EQ(all.size(), 5u);
}

TEST(Draws, StayInTheirRangeOnTheirScaleWithSixDigits) {
  const auto values =
      learning_rates(planned(search_file("sampler: random, trials: 400", "lr: {min: 1e-5, max: 1e-3, scale: log}")));
  int below_the_middle = 0;
  for (const double value : values) {
    EXPECT_GE(value, 1e-5);
    EXPECT_LE(value, 1e-3);
    const double digits = value / std::pow(10, std::floor(std::log10(value)) - 5);
    EXPECT_NEAR(digits, std::round(digits), 1e-6);
    below_the_middle += value < 1e-4 ? 1 : 0;
  }
  EXPECT_NEAR(below_the_middle, 200, 40);  // four standard deviations
}

TEST(Draws, IntegersTakeTheirEndsAsOftenAsOthers) {
  const Plan plan =
      planned(search_file("sampler: sobol, trials: 64", "batch: {min: 1, max: 4}, lr: {min: 0.1, max: 1}"));
  std::map<int, int> counts;
  for (const Job& job : plan.jobs) {
    if (job.task == "a") ++counts[job.parameters.at("train.batch").get<int>()];
  }
  EXPECT_EQ(counts, (std::map<int, int>{{1, 16}, {2, 16}, {3, 16}, {4, 16}}));
}

// What is drawn is a value that the key takes when it stands in the file.
TEST(Draws, WarmupFromOneOnIsWholeStepsAndBelowOneAShare) {
  const auto warmups = [](const std::string& sampler, const std::string& range) {
    std::vector<double> out;
    for (const Job& job : planned(search_file("sampler: " + sampler + ", trials: 40", "warmup: {" + range + "}")).jobs)
      out.push_back(job.parameters.at("train.warmup"));
    return out;
  };
  for (const char* sampler : {"random", "sobol"}) {
    for (const char* range : {"min: 1, max: 500", "min: 2, max: 500, scale: log"}) {
      for (const double steps : warmups(sampler, range)) EXPECT_EQ(steps, std::round(steps)) << sampler << " " << range;
    }
    std::set<double> shares;
    for (const double share : warmups(sampler, "min: 0, max: 0.2")) shares.insert(share);
    EXPECT_EQ(shares.size(), 40u) << sampler;
    EXPECT_LE(*shares.rbegin(), 0.2);
  }
  // Points of a grid as well.
  std::set<double> steps;
  for (const Job& job : planned(file_with("parameters: {warmup: {min: 1, max: 10, samples: 3}}\n"
                                          "stages: {adapter: {}}\n"))
                            .jobs)
    steps.insert(job.parameters.at("train.warmup").get<double>());
  EXPECT_EQ(steps, (std::set<double>{1, 6, 10}));
}

TEST(Draws, EveryKeyThatIsAWholeNumberIsDrawnWhole) {
  std::string ranges;
  for (const Key& key : keys_of(Section::train)) {
    if (key.type == Type::integer) ranges += std::string(ranges.empty() ? "" : ", ") + key.name + ": {min: 3, max: 99}";
  }
  for (const char* sampler : {"random", "sobol"}) {
    for (const Job& job : planned(search_file(std::string("sampler: ") + sampler + ", trials: 9", ranges)).jobs) {
      EXPECT_GE(job.parameters.size(), 4u);
      for (const auto& [name, value] : job.parameters) EXPECT_TRUE(value.is_number_integer()) << name << " " << value;
    }
  }
}

TEST(Draws, MoreTrialsKeepTheEarlierOnes) {
  for (const char* sampler : {"random", "sobol"}) {
    const auto few = unit_points(sampler, 10, 3, 7);
    const auto many = unit_points(sampler, 50, 3, 7);
    for (std::size_t i = 0; i < few.size(); ++i) EXPECT_EQ(few[i], many[i]) << sampler;
    EXPECT_NE(unit_points(sampler, 1, 3, 8), unit_points(sampler, 1, 3, 7)) << sampler;
  }
}

// The property that makes it low-discrepancy: 2^k points, one in each of 2^k intervals of every coordinate.
TEST(Draws, SobolFillsEveryCoordinateEvenly) {
  for (const std::size_t count : {2u, 16u, 256u}) {
    const auto points = unit_points("sobol", count, 6, 42);
    for (std::size_t d = 0; d < 6; ++d) {
      std::set<int> cells;
      for (const auto& point : points) cells.insert(static_cast<int>(point[d] * static_cast<double>(count)));
      EXPECT_EQ(cells.size(), count) << "coordinate " << d;
    }
  }
}

// Independent implementations (SciPy's qmc.Sobol without scrambling) give the same sequence before the shift.
TEST(Draws, SobolIsTheSequenceOfJoeAndKuo) {
  const auto points = unit_points("sobol", 8, 3, 0);
  const auto bits = [](double place) { return static_cast<unsigned>(place * 1024); };
  // In Gray code order, coordinate 1 to 3, in eighths.
  const unsigned known[8][3] = {{0, 0, 0}, {4, 4, 4}, {6, 2, 2}, {2, 6, 6}, {3, 3, 5}, {7, 7, 1}, {5, 1, 7}, {1, 5, 3}};
  for (int i = 0; i < 8; ++i) {
    for (int d = 0; d < 3; ++d) EXPECT_EQ((bits(points[i][d]) ^ bits(points[0][d])) >> 7, known[i][d]) << i << "," << d;
  }
}

TEST(Draws, AreTheSameOnEveryMachine) {
  const auto values = learning_rates(
      planned(search_file("sampler: random, trials: 3, seed: 1", "lr: {min: 1e-5, max: 1e-3, scale: log}")));
  EXPECT_EQ(values, (std::vector<double>{0.00013587, 0.000310144, 0.000874995}));
}

TEST(Draws, ListsZipAndWhenWorkAsInAGrid) {
  const Plan plan =
      planned(search_file("sampler: random, trials: 40",
                          "lr: [1e-3, 1e-4], batch: [16, 32], warmup: {values: [0.1], when: {lr: 1e-3}}") +
              "zip: [[lr, batch]]\n");
  std::set<std::string> points;
  for (const Job& job : plan.jobs) points.insert(nlohmann::json(job.parameters).dump());
  EXPECT_EQ(points.size(), 2u);  // 40 draws of two combinations are two jobs for each task
  for (const Job& job : plan.jobs) {
    const bool high = job.parameters.at("train.lr") == 1e-3;
    EXPECT_EQ(job.parameters.at("train.batch"), high ? 16 : 32);
    EXPECT_EQ(job.parameters.contains("train.warmup"), high);
  }
}

TEST(Draws, AStageHasItsOwnSearch) {
  const Plan plan =
      planned(file_with("search: {sampler: random, trials: 7}\nparameters: {lr: {min: 0.1, max: 1}}\n"
                        "stages:\n  adapter: {search: {sampler: sobol, trials: 3}}\n  finetune: {}\n"));
  EXPECT_EQ(counts(plan), (std::vector<std::size_t>{6, 14}));
}

}  // namespace
}  // namespace fathom::sweeps::testing
