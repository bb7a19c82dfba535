// Members that take little memory where nothing is in them.
#include <bit>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "common/maybe_double.hpp"
#include "common/rare.hpp"
#include "common/small_text.hpp"

namespace fathom {
namespace {

using Numbers = Rare<std::vector<int>>;

TEST(Rare, ReadsAsEmptyUntilSomethingIsInIt) {
  Numbers none;
  EXPECT_EQ(sizeof none, sizeof(void*));
  EXPECT_FALSE(none);
  EXPECT_TRUE(none->empty());
  EXPECT_FALSE(Numbers(std::vector<int>{}));
  none.edit().push_back(1);
  EXPECT_TRUE(none);
  EXPECT_EQ(*none, std::vector<int>{1});
  none.reset();
  EXPECT_FALSE(none);
  EXPECT_TRUE(none->empty());
}

TEST(Rare, CopiesAreTheirOwn) {
  Numbers one = std::vector<int>{1, 2};
  Numbers copy = one;
  EXPECT_EQ(copy, one);
  copy.edit().push_back(3);
  EXPECT_EQ(one->size(), 2U);
  one = copy;
  EXPECT_EQ(one->size(), 3U);
  const Numbers moved = std::move(copy);
  EXPECT_EQ(moved, one);
  one = Numbers();
  EXPECT_FALSE(one);
  EXPECT_FALSE(one == moved);
  EXPECT_EQ(one, Numbers());
}

TEST(MaybeDouble, KeepsEveryDoubleAndNone) {
  using Limits = std::numeric_limits<double>;
  MaybeDouble none;
  EXPECT_EQ(sizeof none, sizeof(double));
  EXPECT_FALSE(none);
  EXPECT_EQ(none.value_or(4), 4);
  EXPECT_EQ(std::optional<double>(none), std::nullopt);
  EXPECT_EQ(none, MaybeDouble(std::optional<double>()));
  for (const double value : {0.0, -0.0, 0.25, Limits::infinity(), Limits::denorm_min(), Limits::quiet_NaN(),
                             -Limits::quiet_NaN(), Limits::signaling_NaN()}) {
    const MaybeDouble one = value;
    EXPECT_TRUE(one.has_value());
    EXPECT_EQ(std::bit_cast<std::uint64_t>(*one), std::bit_cast<std::uint64_t>(value));
    EXPECT_FALSE(one == none);
  }
  EXPECT_EQ(MaybeDouble(std::optional(0.5)), 0.5);
  MaybeDouble some = 0.5;
  some.reset();
  EXPECT_EQ(some, none);
}

TEST(SmallText, IsSharedByItsCopies) {
  const SmallText none;
  EXPECT_EQ(sizeof none, sizeof(void*));
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.str(), "");
  EXPECT_TRUE(SmallText(std::string()).empty());
  SmallText one = "limits.wall is over";
  SmallText copy = one;
  EXPECT_EQ(copy.view().data(), one.view().data());
  EXPECT_EQ(copy.str(), "limits.wall is over");
  one = SmallText();
  EXPECT_TRUE(one.empty());
  EXPECT_EQ(copy, "limits.wall is over");
  const SmallText moved = std::move(copy);
  EXPECT_EQ(moved, "limits.wall is over");
  SmallText& self = one = moved;
  one = self;
  EXPECT_EQ(one, "limits.wall is over");
}

TEST(SmallText, IsFoundByItsCharacters) {
  std::unordered_map<SmallText, int, SmallText::Hash, SmallText::Equal> counts;
  ++counts["cpu:0"];
  ++counts[SmallText("cpu:0")];
  ++counts[std::string("cpu:1")];
  EXPECT_EQ(counts.size(), 2U);
  EXPECT_EQ(counts.find(std::string("cpu:0"))->second, 2);
  EXPECT_FALSE(counts.contains(std::string("cpu:2")));
}

}  // namespace
}  // namespace fathom
