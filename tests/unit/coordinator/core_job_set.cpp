// The set of jobs over a bitmap against std::set.
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "coordinator/core/job_set.hpp"

namespace fathom::core::test {
namespace {

using Index = JobSet::Index;

std::vector<Index> all_of(const JobSet& set) { return {set.begin(), set.end()}; }

// The same operations on both; indexes below `most`, inserts as often as erases.
void compare(std::uint32_t seed, Index most, int steps) {
  std::mt19937 random(seed);
  std::set<Index> expected;
  JobSet set;
  for (int step = 0; step < steps; ++step) {
    const Index index = random() % most;
    if (random() % 2 == 0) {
      ASSERT_EQ(set.insert(index), expected.insert(index).second);
    } else {
      ASSERT_EQ(set.erase(index), expected.erase(index) != 0);
    }
    ASSERT_EQ(set.size(), expected.size());
    ASSERT_EQ(set.empty(), expected.empty());
    const Index asked = random() % (most + 200);
    ASSERT_EQ(set.contains(asked), expected.contains(asked));
    const auto found = set.lower_bound(asked);
    const auto due = expected.lower_bound(asked);
    ASSERT_EQ(found == set.end(), due == expected.end());
    if (due != expected.end()) {
      ASSERT_EQ(*found, *due);
    }
    if (!expected.empty()) {
      ASSERT_EQ(set.first(), *expected.begin());
    }
    if (step % 64 == 0) {
      ASSERT_EQ(all_of(set), std::vector<Index>(expected.begin(), expected.end()));
    }
  }
}

TEST(CoreJobSet, IsAsStdSet) {
  compare(1, 3, 2'000);         // one word, often empty
  compare(2, 64 * 64, 20'000);  // one word of the second level
  compare(3, 100'000, 20'000);  // many, thinly
  compare(4, 64 * 64 + 1, 20'000);
}

TEST(CoreJobSet, RunsThroughWordsThatAreEmpty) {
  JobSet set;
  EXPECT_EQ(set.begin(), set.end());
  for (const Index index : {99'999U, 0U, 63U, 64U, 4'095U, 4'096U, 50'000U}) EXPECT_TRUE(set.insert(index));
  EXPECT_EQ(all_of(set), (std::vector<Index>{0, 63, 64, 4'095, 4'096, 50'000, 99'999}));
  EXPECT_EQ(*set.lower_bound(4'097), 50'000U);
  EXPECT_EQ(set.lower_bound(100'000), set.end());
  EXPECT_EQ(set.lower_bound(10'000'000), set.end());
}

// While it is walked, what was passed may go and what is to come may change.
TEST(CoreJobSet, MayBeChangedWhileItIsWalked) {
  JobSet set;
  for (Index index = 0; index < 1'000; ++index) set.insert(index);
  std::vector<Index> seen;
  for (auto at = set.begin(); at != set.end(); ++at) {
    seen.push_back(*at);
    set.erase(*at), set.erase(*at + 1);
  }
  EXPECT_EQ(seen.size(), 500U);
  EXPECT_TRUE(set.empty());
}

TEST(CoreJobSet, IsEqualByWhatIsInIt) {
  JobSet one, other;
  one.insert(5), other.insert(5);
  one.insert(5'000), one.erase(5'000);  // has grown, and holds the same
  EXPECT_EQ(one, other);
  other.erase(5), other.insert(6);
  EXPECT_FALSE(one == other);
  one.clear();
  EXPECT_EQ(one, JobSet());
}

}  // namespace
}  // namespace fathom::core::test
