// What is kept of the frozen base's outputs: a job's bits are the same with a store, without one, with a damaged one
// and with one that others filled; and it is only read where that holds.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <random>

#include "common/sha256.hpp"
#include "tests/unit/trainer/engine_fixture.hpp"
#include "trainer/engine/engine.hpp"
#include "trainer/packed/prefix_file.hpp"
#include "trainer/packed/prefix_plan.hpp"

namespace fathom::trainer::testing_support {
namespace {

using packed::Boundary;
using packed::choose_boundaries;
using packed::Demand;
using packed::PrefixFile;
using packed::PrefixShape;

// What choose_boundaries() computes, by looking at every subset.
struct Slow {
  const std::vector<Boundary>& candidates;
  const std::vector<Demand>& demands;
  const std::vector<double>& cost;

  [[nodiscard]] double work(const std::vector<std::int64_t>& chosen) const {
    double sum = 0;
    for (const auto& demand : demands) {
      std::int64_t from = -1;
      for (const auto stage : chosen) from = stage <= demand.stage ? std::max(from, stage) : from;
      for (auto stage = from + 1; stage <= demand.stage; ++stage)
        sum += demand.passes * cost[static_cast<std::size_t>(stage)];
    }
    return sum;
  }

  [[nodiscard]] double least(std::uint64_t budget) const {
    double best = work({});
    for (unsigned set = 1; set < 1U << candidates.size(); ++set) {
      std::vector<std::int64_t> chosen;
      std::uint64_t bytes = 0;
      for (std::size_t i = 0; i < candidates.size(); ++i) {
        if ((set >> i & 1U) == 0) continue;
        chosen.push_back(candidates[i].stage);
        bytes += candidates[i].bytes;
      }
      if (bytes <= budget) best = std::min(best, work(chosen));
    }
    return best;
  }
};

TEST(PrefixPlan, IsTheBestOfAllSubsets) {
  std::mt19937 random(4);
  for (int round = 0; round < 100; ++round) {
    const auto stages = 1 + random() % 9;
    std::vector<double> cost;
    std::vector<Boundary> candidates;
    std::vector<Demand> demands;
    for (std::int64_t stage = 0; stage < static_cast<std::int64_t>(stages); ++stage) {
      cost.push_back(1 + static_cast<double>(random() % 5));
      if (random() % 2 != 0) candidates.push_back({stage, random() % 9});
      if (random() % 2 != 0) demands.push_back({stage, static_cast<double>(random() % 7)});
    }
    const std::uint64_t budget = random() % 30;
    const Slow slow{candidates, demands, cost};
    const auto chosen = choose_boundaries(candidates, demands, cost, budget);
    EXPECT_TRUE(std::is_sorted(chosen.begin(), chosen.end()));
    std::uint64_t bytes = 0;
    for (const auto& candidate : candidates) {
      if (std::find(chosen.begin(), chosen.end(), candidate.stage) != chosen.end()) bytes += candidate.bytes;
    }
    EXPECT_LE(bytes, budget);
    EXPECT_EQ(slow.work(chosen), slow.least(budget)) << "round " << round;
  }
}

TEST(PrefixPlan, KeepsNothingThatSavesNothing) {
  EXPECT_EQ(choose_boundaries({{1, 10}, {3, 10}}, {{3, 5}}, {1, 1, 1, 1}, 100), std::vector<std::int64_t>{3});
  EXPECT_TRUE(choose_boundaries({{1, 10}, {3, 10}}, {{3, 5}}, {1, 1, 1, 1}, 9).empty());
  EXPECT_TRUE(choose_boundaries({{3, 10}}, {{1, 5}}, {1, 1, 1, 1}, 100).empty());
}

class PrefixFileTest : public EngineTest {
 protected:
  [[nodiscard]] std::unique_ptr<PrefixFile> open(const std::string& key = "base", std::uint64_t stored = 3) const {
    auto file = PrefixFile::open(root_ / "rows.prefix", key, shape_, stored);
    EXPECT_TRUE(file.ok()) << file.error().message;
    return std::move(file).value();
  }
  // Row 1 has 2 lines of 4 floats.
  std::shared_ptr<const PrefixShape> shape_ = std::make_shared<const PrefixShape>(PrefixShape{{0, 1, 3, 4}, 4});
  std::vector<float> x_ = {1, 2, 3, 4, 5, 6, 7, 8}, product_ = {8, 7, 6, 5, 4, 3, 2, 1};
  std::vector<float> read_x_ = std::vector<float>(8), read_product_ = std::vector<float>(8);
};

TEST_F(PrefixFileTest, WhatOneWritesAllReadNowAndLater) {
  auto one = open(), other = open();
  EXPECT_FALSE(other->read(1, read_x_.data(), read_product_.data()));
  one->write(1, x_.data(), product_.data());
  ASSERT_TRUE(other->read(1, read_x_.data(), read_product_.data()));
  EXPECT_EQ(read_x_, x_);
  EXPECT_EQ(read_product_, product_);
  one.reset();
  other.reset();
  EXPECT_TRUE(open()->read(1, read_x_.data(), read_product_.data()));
  EXPECT_FALSE(open()->read(0, read_x_.data(), read_product_.data()));
}

TEST_F(PrefixFileTest, AnotherKeyOrShapeStartsAnew) {
  open()->write(1, x_.data(), product_.data());
  EXPECT_FALSE(open("other base")->read(1, read_x_.data(), read_product_.data()));
  open()->write(1, x_.data(), product_.data());
  shape_ = std::make_shared<const PrefixShape>(PrefixShape{{0, 2, 3, 4}, 4});
  EXPECT_FALSE(open()->read(1, read_x_.data(), read_product_.data()));
}

TEST_F(PrefixFileTest, RowsWithoutAPlaceAreLeftOutAndAFileKeepsItsSize) {
  auto small = open("base", 1);
  small->write(1, x_.data(), product_.data());
  EXPECT_FALSE(small->read(1, read_x_.data(), read_product_.data()));
  small->write(0, x_.data(), product_.data());
  const auto size = fs::file_size(root_ / "rows.prefix");
  // Somebody with more room takes it as it is.
  EXPECT_TRUE(open("base", 3)->read(0, read_x_.data(), read_product_.data()));
  EXPECT_EQ(fs::file_size(root_ / "rows.prefix"), size);
}

TEST_F(PrefixFileTest, TornRowsAndBrokenFilesAreNotRead) {
  open()->write(1, x_.data(), product_.data());
  const auto size = fs::file_size(root_ / "rows.prefix");
  {
    std::fstream file(root_ / "rows.prefix", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(size) - 20 * 4);  // in row 1
    file.put(77);
  }
  EXPECT_FALSE(open()->read(1, read_x_.data(), read_product_.data()));
  open()->write(1, x_.data(), product_.data());
  EXPECT_TRUE(open()->read(1, read_x_.data(), read_product_.data()));
  fs::resize_file(root_ / "rows.prefix", size - 1);
  EXPECT_FALSE(open()->read(1, read_x_.data(), read_product_.data()));
  EXPECT_EQ(fs::file_size(root_ / "rows.prefix"), size);
  fs::resize_file(root_ / "rows.prefix", 3);
  EXPECT_FALSE(open()->read(1, read_x_.data(), read_product_.data()));
}

// Jobs of every place that a first adapter can be at.
struct Case {
  const char* name;
  bool fusion;
  json changes;
};

std::vector<Case> cases() {
  const auto robust = [](int lo, int hi) { return json{{"drop", {{"kind", "robust"}, {"lo", lo}, {"hi", hi}}}}; };
  const auto fixed = [](int n) { return json{{"drop", {{"kind", "specialized"}, {"n", n}}}}; };
  return {{"standard", false, json::object()},
          {"specialised_2", false, fixed(2)},
          {"specialised_3", false, fixed(3)},
          {"robust", false, robust(0, 3)},
          {"both_sites", false, {{"adapter", {{"config", "double_seq_bn"}}}}},
          {"beside", false, {{"adapter", {{"config", "par_bn"}}}}},
          {"fusion", true, json::object()},
          {"fusion_robust", true, robust(0, 2)}};
}

class Prefix : public EngineTest {
 protected:
  // A trainer of its own, as another process would be.
  void start_trainer(std::uint64_t limit) {
    runner_.reset();
    resources_ = std::make_unique<Resources>(root_, "cpu", alone(), EngineKind::packed,
                                             PrefixOptions{limit > 0 ? store() : fs::path(), limit});
    runner_ = std::make_unique<Runner>(*resources_);
  }
  [[nodiscard]] fs::path store() const { return root_ / "prefix"; }
  [[nodiscard]] std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    if (!fs::exists(store())) return found;
    for (const auto& entry : fs::directory_iterator(store())) {
      if (entry.path().extension() == ".prefix") found.push_back(entry.path());
    }
    return found;
  }
  [[nodiscard]] std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const auto& file : files()) sum += fs::file_size(file);
    return sum;
  }
  // All that a job leaves: weights, and the metrics on its way.
  std::string outcome(const std::string& name, const json& settings, const json& inputs = json::object()) {
    const auto record = run(name, settings, inputs);
    EXPECT_TRUE(record->finished()) << record->message;
    last_ = record;
    std::string all = sha256_hex(weights(name)) + "\n";
    for (const auto& point : record->metrics) all += fmt::format("{} {} {:a}\n", point.name, point.step, point.value);
    return all;
  }
  // Share of rows that were there, in percent, by the job's log; -1 without the line.
  [[nodiscard]] int share() const {
    for (const auto& line : last_->log) {
      if (int percent = 0; std::sscanf(line.c_str(), "prefix store: %d", &percent) == 1) return percent;
    }
    return -1;
  }

  std::shared_ptr<Record> last_;
};

class PrefixCases : public Prefix, public testing::WithParamInterface<Case> {
 protected:
  [[nodiscard]] static json settings() {
    auto settings = GetParam().fusion ? fusion_settings() : adapter_settings();
    settings["train"]["epochs"] = 3;
    settings.merge_patch(GetParam().changes);
    return settings;
  }
  json inputs(const std::string& job) { return GetParam().fusion ? make_members(job) : json::object(); }
};

TEST_P(PrefixCases, BitsAreTheSameWithAndWithoutAStoreColdAndWarm) {
  start_trainer(0);
  const auto expected = outcome("without", settings(), inputs("without"));
  EXPECT_EQ(share(), -1);
  start_trainer(64 << 20);
  EXPECT_EQ(outcome("cold", settings(), inputs("cold")), expected);
  EXPECT_GT(share(), 0) << "epochs after the first read what the first one kept";
  EXPECT_FALSE(files().empty());
  start_trainer(64 << 20);
  EXPECT_EQ(outcome("warm", settings(), inputs("warm")), expected);
  EXPECT_EQ(share(), 100);
}

INSTANTIATE_TEST_SUITE_P(Jobs, PrefixCases, testing::ValuesIn(cases()),
                         [](const auto& one) { return std::string(one.param.name); });

TEST_F(Prefix, DropoutInTheFrozenPartForbidsIt) {
  start_trainer(64 << 20);
  json settings = adapter_settings();
  outcome("fast", settings);
  const auto kept = files();
  ASSERT_FALSE(kept.empty());
  // Whoever reads these gets nonsense.
  settings["recipe"] = "hf";
  start_trainer(0);
  const auto expected = outcome("hf-without", settings);
  start_trainer(64 << 20);
  EXPECT_EQ(outcome("hf", settings), expected);
  EXPECT_EQ(share(), -1);
  EXPECT_EQ(files().size(), kept.size());
}

TEST_F(Prefix, OtherWeightsAndOtherTokensAreOtherRows) {
  start_trainer(64 << 20);
  json settings = adapter_settings();
  outcome("one", settings);
  const auto first = files().size();
  settings["train"]["max_length"] = 5;
  outcome("shorter", settings);
  EXPECT_GT(files().size(), first);
  const auto second = files().size();
  // Another seed, learning rate and batch read the same rows.
  settings["seed"] = 9;
  settings["train"]["lr"] = 0.02;
  settings["train"]["batch"] = 5;
  outcome("other-settings", settings);
  EXPECT_EQ(files().size(), second);
  EXPECT_EQ(share(), 100);
}

TEST_F(Prefix, DamageIsComputedAnew) {
  start_trainer(0);
  json settings = adapter_settings();
  settings["drop"] = {{"kind", "robust"}, {"lo", 0}, {"hi", 3}};
  const auto expected = outcome("without", settings);
  start_trainer(64 << 20);
  outcome("fill", settings);
  int number = 0;
  for (const auto& file : files()) {
    const auto size = fs::file_size(file);
    if (number++ % 3 == 2) {
      fs::resize_file(file, size / 2);
      continue;
    }
    // Every 100th byte behind the header is another one.
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    for (std::uint64_t at = 192; at < size; at += 100) {
      stream.seekg(static_cast<std::streamoff>(at));
      const char byte = static_cast<char>(stream.get() ^ 0x55);
      stream.seekp(static_cast<std::streamoff>(at));
      stream.put(byte);
    }
  }
  start_trainer(64 << 20);
  EXPECT_EQ(outcome("again", settings), expected);
}

TEST_F(Prefix, TheLimitHoldsAndChangesNoBit) {
  start_trainer(0);
  json settings = adapter_settings();
  settings["drop"] = {{"kind", "robust"}, {"lo", 0}, {"hi", 3}};
  const auto expected = outcome("without", settings);
  start_trainer(64 << 20);
  outcome("all", settings);
  const auto all = bytes();
  for (const auto& file : files()) fs::remove(file);
  std::uint64_t before = 0;
  for (const int part : {8, 3, 2}) {
    const auto limit = all / static_cast<std::uint64_t>(part);
    start_trainer(limit);
    EXPECT_EQ(outcome("part-" + std::to_string(part), settings), expected);
    EXPECT_LE(bytes(), limit);
    EXPECT_GE(bytes(), before);
    before = bytes();
  }
  EXPECT_GT(before, all / 4);
}

TEST_F(Prefix, RowsThatNobodyReadsMakeRoom) {
  start_trainer(64 << 20);
  json settings = adapter_settings();
  outcome("one", settings);
  const auto one = bytes();
  const auto old = files();
  start_trainer(one + one / 4);
  settings["train"]["max_length"] = 6;
  outcome("two", settings);
  EXPECT_LE(bytes(), one + one / 4);
  EXPECT_TRUE(std::any_of(old.begin(), old.end(), [](const auto& file) { return !fs::exists(file); }));
}

TEST_F(Prefix, ADiskThatCannotBeWrittenOnlyCostsTime) {
  start_trainer(0);
  const auto expected = outcome("without", adapter_settings());
  std::ofstream(root_ / "prefix") << "a file, not a folder";
  start_trainer(64 << 20);
  EXPECT_EQ(outcome("with", adapter_settings()), expected);
}

}  // namespace
}  // namespace fathom::trainer::testing_support
