// Job logs: at their place, once, and bounded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/store/log_store.hpp"
#include "tests/unit/coordinator/store_testing.hpp"

namespace fathom::store {
namespace {

using fathom::testing::TempFolder;
using ::testing::HasSubstr;
using ::testing::Not;

Fence fence(std::uint32_t attempt, std::uint64_t job = 12) { return {JobNumber(job), 1, attempt, LeaseId(1)}; }

std::uint64_t append(LogStore& store, const Fence& fence, std::uint64_t offset, std::string_view text) {
  const auto stored = store.append(fence, offset, text);
  EXPECT_TRUE(stored.ok());
  return stored ? *stored : 0;
}

std::uintmax_t bytes_below(const std::filesystem::path& folder) {
  std::uintmax_t sum = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) sum += entry.file_size();
  }
  return sum;
}

TEST(LogStore, TakesEachByteOnce) {
  const TempFolder folder;
  LogStore store(folder / "logs");
  EXPECT_EQ(append(store, fence(1), 0, "one\n"), 4U);
  EXPECT_EQ(append(store, fence(1), 0, "one\n"), 4U);
  EXPECT_EQ(append(store, fence(1), 0, "one\ntwo\n"), 8U);
  EXPECT_EQ(*store.tail(JobNumber(12), 1000), "one\ntwo\n");
  EXPECT_EQ(*store.tail(JobNumber(12), 5), "two\n");
  EXPECT_EQ(*store.tail(JobNumber(13), 5), "");
  LogStore again(folder / "logs");
  EXPECT_EQ(append(again, fence(1), 8, "three\n"), 14U);
  EXPECT_EQ(*again.tail(JobNumber(12), 1000), "one\ntwo\nthree\n");
}

TEST(LogStore, AHoleIsNotShown) {
  const TempFolder folder;
  LogStore store(folder / "logs");
  append(store, fence(1), 0, "begin\n");
  EXPECT_EQ(append(store, fence(1), 100, "end\n"), 104U);
  EXPECT_EQ(*store.tail(JobNumber(12), 1000), "begin\nend\n");
}

TEST(LogStore, KeepsTheEndWithinItsBounds) {
  const TempFolder folder;
  LogStore store(folder / "logs", {.bytes_per_attempt = 1000, .attempts_per_job = 2});
  std::uint64_t offset = 0;
  for (int i = 0; i < 500; ++i) offset = append(store, fence(1), offset, "line " + std::to_string(i) + "\n");
  EXPECT_LE(bytes_below(folder / "logs"), 1000U);
  const std::string tail = *store.tail(JobNumber(12), 100000);
  EXPECT_GE(tail.size(), 500U);
  EXPECT_THAT(tail, HasSubstr("line 499\n"));
  EXPECT_THAT(tail, Not(HasSubstr("line 10\n")));
  // One chunk larger than everything that is kept, and an offset from nowhere.
  offset = append(store, fence(1), offset, std::string(5000, 'x'));
  EXPECT_LE(bytes_below(folder / "logs"), 1000U);
  EXPECT_EQ(append(store, fence(1), UINT64_MAX - 2, "far"), offset);
}

TEST(LogStore, ShowsTheNewestAttemptsUnderHeadings) {
  const TempFolder folder;
  LogStore store(folder / "logs", {.bytes_per_attempt = 1000, .attempts_per_job = 2});
  append(store, fence(1), 0, "first\n");
  append(store, fence(2), 0, "second\n");
  EXPECT_EQ(*store.tail(JobNumber(12), 1000),
            "--- generation 1, attempt 1 ---\nfirst\n--- generation 1, attempt 2 ---\nsecond\n");
  append(store, fence(10), 0, "tenth\n");
  EXPECT_EQ(*store.tail(JobNumber(12), 1000),
            "--- generation 1, attempt 2 ---\nsecond\n--- generation 1, attempt 10 ---\ntenth\n");
}

}  // namespace
}  // namespace fathom::store
