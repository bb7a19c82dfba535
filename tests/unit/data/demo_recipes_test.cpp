// The recipes in configs/data over the real packages, where they have been fetched and unpacked by deploy/install-deps.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

#include "data/prepare.hpp"
#include "tests/unit/data/temp_folder.hpp"

namespace fathom::data {
namespace {

namespace fs = std::filesystem;

fs::path demo_root() {
  const char* cache = std::getenv("FATHOM_CACHE");
  const char* home = std::getenv("HOME");
  return (cache != nullptr ? fs::path(cache) : fs::path(home != nullptr ? home : "") / ".cache/fathom") / "demo";
}

Result<Prepared> prepare_demo(const std::string& task, const fs::path& out) {
  const std::string file = std::string(FATHOM_SOURCE_DIR) + "/configs/data/" + task + ".yaml";
  std::ifstream in(file);
  const std::string yaml{std::istreambuf_iterator<char>(in), {}};
  const auto recipe = parse_recipe(yaml, file);
  if (!recipe) return recipe.error();
  return prepare(*recipe, demo_root(), out);
}

class DemoRecipes : public testing::TestWithParam<std::tuple<const char*, std::size_t, std::uint64_t>> {};

TEST_P(DemoRecipes, GiveEnoughRowsOfEveryLabel) {
  const auto [task, labels, invalid] = GetParam();
  if (!fs::exists(demo_root() / "sources")) GTEST_SKIP() << "the demo packages are not in " << demo_root();
  const TempFolder folder;
  const auto done = prepare_demo(task, folder.path() / task);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->train, 512U);
  EXPECT_EQ(done->dev, 200U);
  EXPECT_EQ(done->labels.size(), labels);
  EXPECT_EQ(done->replaced, invalid);
  for (const auto count : done->dev_counts) EXPECT_GT(count, 10U);
}

INSTANTIATE_TEST_SUITE_P(Tasks, DemoRecipes,
                         testing::Values(std::tuple{"mr", std::size_t{2}, std::uint64_t{0}},
                                         std::tuple{"sms", std::size_t{2}, std::uint64_t{0}},
                                         std::tuple{"tweets", std::size_t{3}, std::uint64_t{24181}}),
                         [](const auto& test) { return std::string(std::get<0>(test.param)); });

}  // namespace
}  // namespace fathom::data
