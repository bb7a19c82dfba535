// Recipes: what they may say, and what comes out of them.
#include "data/prepare.hpp"

#include <algorithm>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/random.hpp"
#include "data/split.hpp"
#include "tests/unit/data/temp_folder.hpp"

namespace fathom::data {
namespace {

using testing::HasSubstr;

std::string mistake(const std::string& yaml) {
  const auto recipe = parse_recipe(yaml, "r.yaml");
  return recipe ? "" : recipe.error().message;
}

Result<Prepared> run(const TempFolder& folder, const std::string& yaml) {
  const auto recipe = parse_recipe(yaml, "r.yaml");
  if (!recipe) return recipe.error();
  return prepare(*recipe, folder.path(), folder.path() / "out");
}

std::set<std::string> lines(const std::string& text) {
  std::istringstream in(text);
  std::set<std::string> out;
  for (std::string line; std::getline(in, line);) out.insert(line);
  return out;
}

TEST(Recipe, MistakesNameLineColumnAndWhatToDo) {
  EXPECT_THAT(mistake("source: a.csv\ntext: t\nlabl: l\n"),
              HasSubstr("r.yaml:3:1: error: unknown key \"labl\"; did you mean label?"));
  EXPECT_THAT(mistake("source: a.csv\nlabel: l\n"), HasSubstr("text and label have to name columns"));
  EXPECT_THAT(mistake("source: a.xls\ntext: t\nlabel: l\n"), HasSubstr("r.yaml:1:1"));
  EXPECT_THAT(mistake("source: a.csv\ntext: t\nlabel: l\n\tsplit: 1\n"), HasSubstr("r.yaml:4:1: error: a tab"));
  EXPECT_THAT(mistake("source: a.csv\ntext: t\nlabel: l\nheader: yes\n"), HasSubstr("header: expected true or false"));
  EXPECT_THAT(mistake("source: a.csv\ntext: t\nlabel: l\nlimit: 100\n"),
              HasSubstr("r.yaml:4:1: error: limit: expected keys and values (train, dev)"));
  EXPECT_THAT(mistake("source: a.csv\ntext: t\nlabel: l\nlimit: {trane: 5}\n"),
              HasSubstr("r.yaml:4:9: error: unknown key \"trane\"; the keys are train, dev"));
  EXPECT_THAT(mistake("source: a.csv\ntext: t\nlabel: l\nsplit: -1\n"), HasSubstr("r.yaml:4:1: error: split"));
  EXPECT_THAT(mistake("source: a.csv\ntext: t\nlabel: l\nlabels: [a, a]\n"), HasSubstr("given twice"));
  EXPECT_THAT(mistake("source: a.csv\ntext: t\ntext: u\nlabel: l\n"),
              HasSubstr("r.yaml:3:1: error: the key \"text\" is given twice"));
  EXPECT_THAT(mistake(""), HasSubstr("the recipe is empty"));
}

TEST(Prepare, FiltersMapsDeduplicatesSplitsAndWrites) {
  const TempFolder folder;
  std::string csv = "text,label,source\n";
  for (int i = 0; i < 20; ++i) csv += "\"row\t" + std::to_string(i) + "\nx\"," + std::to_string(i % 2) + ",mine\n";
  csv += "row 3 x,0,mine\nother,7,theirs\n\"  \",1,mine\n";
  folder.write("in/a.csv", csv);
  const auto done = run(folder,
                        "name: demo\nsource: in/a.csv\nwhere: {source: mine}\ntext: text\nlabel: label\n"
                        "labels: {\"0\": neg, \"1\": pos}\nsplit: 0.25\ndeduplicate: true\nlimit: {train: 12}\n");
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->read, 23U);
  EXPECT_EQ(done->filtered, 1U);
  EXPECT_EQ(done->empty, 1U);
  EXPECT_EQ(done->duplicates, 1U);  // "row 3 x" is row 3 once tab and line break are blanks
  EXPECT_EQ(done->conflicts, 1U);
  EXPECT_EQ(done->train, 12U);
  EXPECT_EQ(done->dev, 5U);
  EXPECT_EQ(folder.read("out/labels.json"), "{\n \"format\": 1,\n \"labels\": [\n  \"neg\",\n  \"pos\"\n ]\n}\n");
  const std::set<std::string> train = lines(folder.read("out/train.tsv"));
  const std::set<std::string> dev = lines(folder.read("out/dev.tsv"));
  EXPECT_EQ(train.size(), 13U);
  EXPECT_EQ(dev.size(), 6U);
  EXPECT_TRUE(train.contains("text\tlabel"));
  for (const std::string& row : dev) EXPECT_TRUE(row == "text\tlabel" || !train.contains(row)) << row;
}

TEST(Prepare, TheSameSeedGivesTheSameBytesAndAnotherSeedOthers) {
  const TempFolder folder;
  std::string csv;
  for (int i = 0; i < 100; ++i) csv += std::to_string(i) + "," + (i < 50 ? "a" : "b") + "\n";  // sorted by label
  folder.write("a.csv", csv);
  const std::string yaml = "source: a.csv\nheader: false\ntext: 1\nlabel: 2\nsplit: 40\n";
  ASSERT_TRUE(run(folder, yaml));
  const std::string first = folder.read("out/train.tsv");
  ASSERT_TRUE(run(folder, yaml));
  EXPECT_EQ(folder.read("out/train.tsv"), first);
  const auto other = run(folder, yaml + "split_seed: 1\n");
  ASSERT_TRUE(other);
  EXPECT_NE(folder.read("out/train.tsv"), first);
  EXPECT_GT(other->dev_counts[0], 10U);  // both labels are in dev: the sorted file was shuffled
  EXPECT_GT(other->dev_counts[1], 10U);
}

TEST(Prepare, PairsAndJsonl) {
  const TempFolder folder;
  folder.write("a.jsonl",
               "{\"q\": \"one\", \"a\": \"two\", \"l\": 1}\n{\"q\": \"three\", \"a\": \"four\", \"l\": 0}\n");
  ASSERT_TRUE(run(folder, "source: a.jsonl\ntext: [q, a]\nlabel: l\nsplit: 1\n"));
  EXPECT_THAT(folder.read("out/train.tsv"), HasSubstr("text\tpair\tlabel\n"));
}

TEST(Prepare, MistakesInTheDataLeaveNothingBehind) {
  const TempFolder folder;
  folder.write("a.csv", "text,label\nx,ham\ny,spam\nz,eggs\n");
  folder.write("empty.csv", "");
  folder.write("header.csv", "text,label\n");
  const std::string rest = "text: text\nlabel: label\nlabels: [ham, spam]\n";
  EXPECT_THAT(run(folder, "source: a.csv\n" + rest).error().message,
              HasSubstr("a.csv:4: unknown label \"eggs\"; the recipe lists ham, spam"));
  EXPECT_THAT(run(folder, "source: a.csv\ntext: txt\nlabel: label\n").error().message,
              HasSubstr("there is no column \"txt\"; the columns are text, label"));
  EXPECT_THAT(run(folder, "source: empty.csv\n" + rest).error().message, HasSubstr("the file is empty"));
  EXPECT_THAT(run(folder, "source: header.csv\n" + rest).error().message, HasSubstr("none of 0 rows"));
  EXPECT_EQ(run(folder, "source: none.csv\n" + rest).error().code, Errc::not_found);
  EXPECT_EQ(run(folder, "source: ../a.csv\n" + rest).error().code, Errc::permission_denied);
  EXPECT_THAT(run(folder, "source: a.csv\ntext: text\nlabel: label\nsplit: 3\n").error().message,
              HasSubstr("leaves nothing"));
  EXPECT_THAT(run(folder, "source: a.csv\ntext: text\nlabel: label\nlabels: number\n").error().message,
              HasSubstr("no number"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "out"));
}

// The first values of xoshiro256** with SplitMix64(0) as its state: from the authors' C code.
TEST(Random, KnownValues) {
  Random random(0);
  EXPECT_EQ(random.next(), 11091344671253066420ULL);
  EXPECT_EQ(random.next(), 13793997310169335082ULL);
  EXPECT_EQ(random.next(), 1900383378846508768ULL);
}

TEST(Random, BelowIsInRangeAndReachesAll) {
  Random random(7);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 200; ++i) seen.insert(random.below(6));
  EXPECT_EQ(seen.size(), 6U);
  EXPECT_EQ(*seen.rbegin(), 5U);
}

TEST(Split, CoversEveryRowOnce) {
  const auto divided = divide(10, 0.25, 3);
  ASSERT_TRUE(divided);
  EXPECT_EQ(divided->dev.size(), 3U);  // 2.5 is rounded away from zero
  std::vector<std::uint32_t> all = divided->train;
  all.insert(all.end(), divided->dev.begin(), divided->dev.end());
  std::sort(all.begin(), all.end());
  for (std::uint32_t i = 0; i < 10; ++i) EXPECT_EQ(all[i], i);
  EXPECT_FALSE(divide(10, 10, 0));
  EXPECT_FALSE(divide(10, 1.5, 0));
  EXPECT_FALSE(divide(10, 0, 0));
}

}  // namespace
}  // namespace fathom::data
