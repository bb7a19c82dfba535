// What the trainer gets of a task, and the hashes that name data and models.
#include "data/dataset.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "common/sha256.hpp"
#include "data/identity.hpp"
#include "data/links.hpp"
#include "tests/unit/data/temp_folder.hpp"

namespace fathom::data {
namespace {

using nlohmann::json;
using testing::HasSubstr;

TEST(Dataset, LabelsFromTheTaskTheFileBesideOrTheRows) {
  const TempFolder folder;
  folder.write("t/train.tsv", "text\tlabel\nx\tpos\ny\tneg\n");
  folder.write("t/dev.tsv", "text\tlabel\nz\tpos\n");
  json task = {
      {"train", "t/train.tsv"}, {"eval", "t/dev.tsv"}, {"text", {"text"}}, {"label", "label"}, {"labels", nullptr}};
  auto rows = load_task(folder.path(), task, Split::train);
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(rows->labels, (std::vector<std::string>{"neg", "pos"}));
  EXPECT_EQ(rows->examples[0].label, 1);
  folder.write("t/labels.json", R"({"format": 1, "labels": ["pos", "neg"]})");
  EXPECT_EQ(load_task(folder.path(), task, Split::eval)->examples[0].label, 0);
  task["labels"] = {"neg", "other", "pos"};
  EXPECT_EQ(load_task(folder.path(), task, Split::eval)->examples[0].label, 2);
  task["labels"] = {"neg", "other"};
  EXPECT_THAT(load_task(folder.path(), task, Split::eval).error().message,
              HasSubstr("dev.tsv:2: unknown label \"pos\"; the task's labels are neg, other"));
}

TEST(Dataset, PairsNumbersAndRegression) {
  const TempFolder folder;
  folder.write("s/train.tsv", "a\tb\tscore\none\ttwo\t3.25\n");
  const json task = {{"train", "s/train.tsv"},
                     {"eval", "s/train.tsv"},
                     {"text", {"a", "b"}},
                     {"label", "score"},
                     {"metric", "spearman"}};
  const auto rows = load_task(folder.path(), task, Split::train);
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_TRUE(rows->regression);
  EXPECT_EQ(rows->examples[0].value, 3.25);
  EXPECT_EQ(rows->examples[0].pair, "two");
  folder.write("c/train.tsv", "src\t1\t\tA sentence.\n");  // CoLA's layout: no header
  const json cola = {{"train", "c/train.tsv"}, {"eval", "c/train.tsv"}, {"text", {4}}, {"label", 2}};
  const auto sentences = load_task(folder.path(), cola, Split::eval);
  ASSERT_TRUE(sentences) << sentences.error().message;
  EXPECT_EQ(sentences->examples[0].text, "A sentence.");
}

TEST(Dataset, TestRowsNeedNoLabel) {
  const TempFolder folder;
  folder.write("t/train.tsv", "text\tlabel\nx\tpos\ny\tneg\n");
  folder.write("t/dev_matched.tsv", "text\tlabel\nz\tpos\n");
  const json task = {{"train", "t/train.tsv"}, {"eval", "t/dev_matched.tsv"}, {"text", {"text"}}, {"label", "label"}};
  EXPECT_THAT(split_file(folder.path(), task, Split::test).error().message, HasSubstr("t/test_matched.tsv"));
  EXPECT_EQ(*split_file(folder.path(), task, Split::eval), "t/dev_matched.tsv");
  folder.write("t/test_matched.tsv", "index\ttext\n0\tu\n1\tv\n");
  auto rows = load_task(folder.path(), task, Split::test);
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(rows->examples[1].text, "v");
  EXPECT_EQ(rows->examples[1].label, -1);
  folder.write("t/test_matched.tsv", "text\tlabel\nu\t-1\nv\tneg\nw\t\n");
  rows = load_task(folder.path(), task, Split::test);
  ASSERT_TRUE(rows) << rows.error().message;
  std::vector<std::int32_t> labels;
  for (const Example& example : rows->examples) labels.push_back(example.label);
  EXPECT_EQ(labels, (std::vector<std::int32_t>{-1, 0, -1}));
  folder.write("t/test_matched.tsv", "text\tlabel\nu\tother\n");
  EXPECT_THAT(load_task(folder.path(), task, Split::test).error().message, HasSubstr("unknown label"));
  folder.write("t/dev_matched.tsv", "text\nz\n");
  EXPECT_FALSE(load_task(folder.path(), task, Split::eval));
}

TEST(Dataset, AnInlineSplitGivesEveryRowToOneSide) {
  const TempFolder folder;
  std::string text = "text\tlabel\n";
  for (int i = 0; i < 30; ++i) text += std::to_string(i) + "\t" + std::to_string(i % 3) + "\n";
  folder.write("a.tsv", text);
  const json task = {{"train", "a.tsv"}, {"split", 0.2}};
  const auto train = load_task(folder.path(), task, Split::train);
  const auto dev = load_task(folder.path(), task, Split::eval);
  ASSERT_TRUE(train && dev);
  EXPECT_EQ(train->examples.size(), 24U);
  EXPECT_EQ(dev->examples.size(), 6U);
  for (const auto& row : dev->examples) {
    for (const auto& other : train->examples) EXPECT_NE(row.text, other.text);
  }
}

TEST(Dataset, PathsStayBelowTheRoot) {
  for (const char* path : {"/etc/passwd", "../x", "a/../../x", ""}) EXPECT_FALSE(below_root("/data", path)) << path;
  EXPECT_EQ(*below_root("/data", "a/../b.tsv"), "/data/b.tsv");
  const TempFolder folder;
  EXPECT_EQ(load_task(folder.path(), {{"train", "../x.tsv"}, {"labels", {"a"}}}, Split::train).error().code,
            Errc::permission_denied);
  EXPECT_FALSE(load_task(folder.path(), json::array(), Split::train));
  EXPECT_FALSE(load_task(folder.path(), {{"train", "x.tsv"}, {"text", json::array()}}, Split::train));
}

TEST(Dataset, AWorkersLinksLeadNowhereElse) {
  const TempFolder outside, root, cache;
  outside.write("secret.tsv", "text\tlabel\nx\ta\n");
  cache.write("a.tsv", "text\tlabel\nx\ta\ny\tb\n");
  root.write("real/a.tsv", "text\tlabel\nx\ta\ny\tb\n");
  std::filesystem::create_symlink(outside.path() / "secret.tsv", root.path() / "out.tsv");
  std::filesystem::create_directory_symlink(outside.path(), root.path() / "folder");
  std::filesystem::create_symlink(root.path() / "real" / "a.tsv", root.path() / "inside.tsv");
  std::filesystem::create_symlink(cache.path() / "a.tsv", root.path() / "cached.tsv");
  EXPECT_TRUE(below_root(root.path(), "out.tsv").ok());  // a person's own program follows them
  confine_links({root.path(), cache.path()});
  for (const char* path : {"out.tsv", "folder/secret.tsv", "folder/absent.tsv"}) {
    EXPECT_EQ(below_root(root.path(), path).error().code, Errc::permission_denied) << path;
  }
  const json task = {{"train", "out.tsv"}, {"split", 0.5}};
  EXPECT_EQ(load_task(root.path(), task, Split::train).error().code, Errc::permission_denied);
  for (const char* path : {"inside.tsv", "cached.tsv", "absent.tsv"}) {
    EXPECT_TRUE(below_root(root.path(), path).ok()) << path;
  }
  // A model's folder: links among its files stay inside, as those of Hugging Face's cache do.
  root.write("model/config.json", "{}");
  std::filesystem::create_symlink("../real/a.tsv", root.path() / "model" / "blob");
  EXPECT_TRUE(check_links_below(root.path() / "model").ok());
  std::filesystem::create_symlink(outside.path() / "secret.tsv", root.path() / "model" / "vocab.txt");
  EXPECT_EQ(check_links_below(root.path() / "model").error().code, Errc::permission_denied);
  confine_links({});
}

TEST(Identity, HashesFollowTheBytes) {
  const TempFolder folder;
  HashCache cache;
  const auto path = folder.write("t/train.tsv", "text\tlabel\nx\ta\n");
  folder.write("t/dev.tsv", "text\tlabel\ny\ta\n");
  const json task = {{"train", "t/train.tsv"}, {"eval", "t/dev.tsv"}};
  const std::string first = *data_sha256(cache, folder.path(), task);
  EXPECT_EQ(*data_sha256(cache, folder.path(), task), first);
  folder.write("t/labels.json", R"(["a"])");
  const std::string second = *data_sha256(cache, folder.path(), task);
  EXPECT_NE(second, first);
  folder.write("t/train.tsv", "text\tlabel\nxy\ta\n");
  EXPECT_NE(*data_sha256(cache, folder.path(), task), second);
  EXPECT_EQ(*cache.file(path), sha256_hex("text\tlabel\nxy\ta\n"));

  EXPECT_THAT(model_sha256(cache, folder.path()).error().message, HasSubstr("expected model.safetensors"));
  folder.write("b/pytorch_model-00001-of-00001.bin", "c");
  EXPECT_EQ(*model_sha256(cache, folder.path() / "b"), sha256_hex(sha256_hex("c") + "\n"));
  folder.write("m/model-00002-of-00002.safetensors", "b");
  folder.write("m/model-00001-of-00002.safetensors", "a");
  EXPECT_EQ(*model_sha256(cache, folder.path() / "m"), sha256_hex(sha256_hex("a") + "\n" + sha256_hex("b") + "\n"));
  folder.write("m/model.safetensors", "whole");
  EXPECT_EQ(*model_sha256(cache, folder.path() / "m"), sha256_hex("whole"));
}

}  // namespace
}  // namespace fathom::data
