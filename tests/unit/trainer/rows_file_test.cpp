// Tokenised splits that trainers map: what is read is what was written, and damage is tokenised again.
#include <gtest/gtest.h>

#include "common/sha256.hpp"
#include "tests/unit/trainer/engine_fixture.hpp"
#include "trainer/engine/rows_file.hpp"

namespace fathom::trainer::testing_support {
namespace {

class RowsFile : public EngineTest {
 protected:
  static OpenTask drawn(bool regression) {
    OpenTask task;
    task.rows.ids = std::vector<std::int32_t>{2, 7, 3, 2, 9, 8, 3};
    task.rows.types = std::vector<std::int32_t>{0, 0, 0, 0, 0, 1, 1};
    task.rows.offsets = std::vector<std::size_t>{0, 3, 7};
    if (regression)
      task.rows.targets = std::vector<double>{0.5, -2};
    else
      task.rows.labels = std::vector<std::int32_t>{1, 0};
    task.rows.pad_id = 4;
    task.rows.sha256 = "tokens";
    if (!regression) task.labels = {"böse", "gut"};
    task.regression = regression;
    task.skipped = 3;
    return task;
  }
  static void expect_same(const OpenTask& expected, const OpenTask& found) {
    EXPECT_EQ(expected.rows.ids, found.rows.ids);
    EXPECT_EQ(expected.rows.types, found.rows.types);
    EXPECT_EQ(expected.rows.offsets, found.rows.offsets);
    EXPECT_EQ(expected.rows.labels, found.rows.labels);
    EXPECT_EQ(expected.rows.targets, found.rows.targets);
    EXPECT_EQ(expected.rows.pad_id, found.rows.pad_id);
    EXPECT_EQ(expected.rows.sha256, found.rows.sha256);
    EXPECT_EQ(expected.labels, found.labels);
    EXPECT_EQ(expected.regression, found.regression);
    EXPECT_EQ(expected.skipped, found.skipped);
  }
  [[nodiscard]] fs::path store() const { return root_ / "store"; }
  [[nodiscard]] fs::path file() const {
    for (const auto& entry : fs::directory_iterator(store())) {
      if (entry.path().extension() == ".rows") return entry.path();
    }
    return {};
  }
  void start_trainer() {
    runner_.reset();
    resources_ =
        std::make_unique<Resources>(root_, "cpu", alone(), EngineKind::packed, PrefixOptions{store(), 1 << 20});
    runner_ = std::make_unique<Runner>(*resources_);
  }

  const std::string key_ = sha256_hex("a split");
};

TEST_F(RowsFile, WhatIsReadIsWhatWasSaved) {
  for (const bool regression : {false, true}) {
    const auto task = drawn(regression);
    save_rows(store(), key_, task, 1 << 20);
    const auto found = load_rows(store(), key_);
    ASSERT_TRUE(found);
    expect_same(task, *found);
  }
  EXPECT_FALSE(load_rows(store(), sha256_hex("another split")));
  EXPECT_FALSE(load_rows(root_ / "nowhere", key_));
}

TEST_F(RowsFile, TheLimitHolds) {
  save_rows(store(), key_, drawn(false), 300);
  EXPECT_FALSE(load_rows(store(), key_));
}

TEST_F(RowsFile, NoByteCanBeAnother) {
  save_rows(store(), key_, drawn(false), 1 << 20);
  const auto path = file();
  const auto size = fs::file_size(path);
  for (std::uint64_t at = 0; at < size; at += 7) {
    std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(at));
    const char byte = static_cast<char>(stream.get());
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put(static_cast<char>(byte ^ 0x10));
    stream.close();
    // Between header and content there may be bytes that mean nothing.
    if (const auto found = load_rows(store(), key_)) expect_same(drawn(false), *found);
    std::fstream back(path, std::ios::in | std::ios::out | std::ios::binary);
    back.seekp(static_cast<std::streamoff>(at));
    back.put(byte);
  }
  EXPECT_TRUE(load_rows(store(), key_));
  for (const auto shorter : {size - 1, size / 2, std::uint64_t{100}, std::uint64_t{0}}) {
    fs::resize_file(path, shorter);
    EXPECT_FALSE(load_rows(store(), key_));
  }
}

TEST_F(RowsFile, TrainersReadWhatAnEarlierOneTokenised) {
  const auto settings = adapter_settings();
  ASSERT_TRUE(run("plain", settings)->finished());
  start_trainer();
  ASSERT_TRUE(run("first", settings)->finished());
  ASSERT_FALSE(file().empty());
  const auto written = fs::last_write_time(file());
  start_trainer();
  const auto second = run("second", settings);
  ASSERT_TRUE(second->finished()) << second->message;
  EXPECT_GE(fs::last_write_time(file()), written);
  EXPECT_EQ(weights("second"), weights("plain"));
  // Other data under the same name are other rows.
  std::ofstream(root_ / "toy/train.tsv", std::ios::app) << "w1 w2\tpos\n";
  start_trainer();
  const auto more = run("more", settings);
  ASSERT_TRUE(more->finished()) << more->message;
  EXPECT_NE(weights("more"), weights("plain"));
}

}  // namespace
}  // namespace fathom::trainer::testing_support
