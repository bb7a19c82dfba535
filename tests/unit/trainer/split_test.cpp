// How cores are shared among trainers, and what a trainer's jobs share without seeing it.
#include <gtest/gtest.h>

#include "common/sha256.hpp"
#include "tests/unit/trainer/engine_fixture.hpp"
#include "trainer/engine/split.hpp"

namespace fathom::trainer::testing_support {
namespace {

TEST(Split, SharesAllCoresAndNoMore) {
  for (const int cores : {1, 2, 6, 7, 16, 96}) {
    const auto splits = even_splits(cores, 8);
    ASSERT_FALSE(splits.empty());
    EXPECT_EQ(splits.front().trainers, 1);
    for (const auto& split : splits) {
      EXPECT_EQ(split.trainers * split.threads, cores);
      EXPECT_LE(split.trainers, 8);
    }
  }
  EXPECT_EQ(even_splits(6, 8).size(), 4u);
}

TEST(Split, IsMeasuredOverAllTrainersFastestFirst) {
  const auto measured = measure_splits({{1, 1}, {2, 1}}, 0.05);
  ASSERT_EQ(measured.size(), 2u);
  EXPECT_GT(measured[1].rows_per_s, 0);
  EXPECT_GE(measured[0].rows_per_s, measured[1].rows_per_s);
}

// Jobs of a trainer take turns pass by pass.
class Neighbours : public EngineTest, public testing::WithParamInterface<int> {
 protected:
  // Other tasks' settings: depth, batch, learning rate, reduction, epochs, seed.
  static json settings(int number) {
    json settings = adapter_settings("toy");
    settings["seed"] = 1 + number;
    settings["train"]["batch"] = 4 + number;
    settings["train"]["lr"] = 0.01 / (1 + number);
    settings["train"]["epochs"] = 1 + number % 3;
    settings["adapter"]["reduction_factor"] = number % 2 == 0 ? 4 : 2;
    if (number % 4 == 1) settings["drop"] = {{"kind", "specialized"}, {"n", 2}};
    if (number % 4 == 2) settings["drop"] = {{"kind", "robust"}, {"lo", 0}, {"hi", 3}};
    if (number % 4 == 3) settings["recipe"] = "hf";
    return settings;
  }
};

TEST_P(Neighbours, BitsOfAJobDoNotDependOnThem) {
  std::vector<std::string> alone;
  for (int i = 0; i < GetParam(); ++i) {
    const auto name = "alone-" + std::to_string(i);
    const auto record = run(name, settings(i));
    ASSERT_TRUE(record->finished()) << record->message;
    alone.push_back(sha256_hex(weights(name)));
  }
  std::vector<std::shared_ptr<Record>> records;
  for (int i = 0; i < GetParam(); ++i) records.push_back(add("beside-" + std::to_string(i), settings(i)));
  run_all();
  for (int i = 0; i < GetParam(); ++i) {
    ASSERT_TRUE(records[static_cast<std::size_t>(i)]->finished());
    EXPECT_EQ(sha256_hex(weights("beside-" + std::to_string(i))), alone[static_cast<std::size_t>(i)]) << "job " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Jobs, Neighbours, testing::Values(1, 2, 8));

}  // namespace
}  // namespace fathom::trainer::testing_support
