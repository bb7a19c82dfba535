// What makes two jobs one setting, as a text and without one.
#include "sweeps/setting.hpp"

#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {
namespace {

using nlohmann::json;

// Both say the same of each pair, and equal ones have equal hashes.
void compare(const std::vector<Job>& jobs) {
  std::size_t pairs = 0;
  for (const Job& one : jobs) {
    for (const Job& other : jobs) {
      const bool same = setting_of(one) == setting_of(other);
      ASSERT_EQ(same_setting(one, other), same) << setting_of(one) << "\n--\n" << setting_of(other);
      if (same) {
        ASSERT_EQ(hash_of_setting(one), hash_of_setting(other)) << setting_of(one);
      }
      pairs += same && &one != &other ? 1 : 0;
    }
  }
  EXPECT_NE(pairs, 0U);
}

TEST(Setting, IsTheSameAsItsText) {
  compare(planned(file_with("parameters: {lr: [1e-3, 1e-2], batch: [8, 16]}\nseeds: 1..3\nstages:\n"
                            "  adapter: {drop: {standard: true, specialized: 1..2}}\n"
                            "  fusion: {needs: {from: adapter}, sets: [all]}\n  evaluate: {from: adapter}\n"))
              .jobs);
  compare(planned(file_with("search: {sampler: tpe, trials: 4}\nparameters: {lr: {min: 1e-6, max: 1e-1, scale: log}}\n"
                            "seeds: 1..2\nstages:\n  adapter: {}\n"))
              .jobs);
}

// Values that are near each other: one and 1.0, signs of zero, how a number is stored, lists.
TEST(Setting, TellsValuesApartAsTheirTextsDo) {
  const std::vector<json> values = {1,     1U,   1.0,     -1,      0.0,          -0.0,           0,     "1",
                                    "1.0", true, nullptr, json(2), json{1, 2.0}, json{1.0, 2.0}, false, json::object()};
  const Plan plan = planned(file_with("parameters: {lr: [1e-3]}\nseeds: 1..2\nstages:\n  adapter: {}\n"));
  std::vector<Job> jobs;
  for (const Job& like : plan.jobs) {
    for (const json& value : values) {
      Job job = like;
      job.parameters.set("train.lr", value);
      jobs.push_back(std::move(job));
    }
  }
  compare(jobs);
}

}  // namespace
}  // namespace fathom::sweeps::testing
