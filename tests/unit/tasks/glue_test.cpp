// The nine GLUE presets of the sweep language on the published files (../shared/data/glue) and on exported copies.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "data/dataset.hpp"
#include "sweeps/sweep.hpp"
#include "tests/unit/data/temp_folder.hpp"

namespace fathom::data {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const fs::path kGlue = FATHOM_SOURCE_DIR "/../shared/data/glue";

#define REQUIRE_GLUE() \
  if (!fs::exists(kGlue)) GTEST_SKIP() << "the GLUE files (shared/data/glue) are not on this machine"

// The task of a sweep file that says `task` about its only task.
json task_of(const std::string& task) {
  const std::string yaml =
      "version: 1\nname: t\nmodel: {path: m}\ntasks:\n  t: " + task +
      "\ntrain: {lr: 1e-4, epochs: 1, batch: 8, max_length: 64}\nseeds: [1]\nstages:\n  adapter: {}\n";
  const auto parsed = sweeps::parse(yaml, {});
  for (const auto& error : parsed.errors) ADD_FAILURE() << sweeps::render(error);
  if (!parsed.errors.empty()) return {};
  const auto plan = sweeps::expand(parsed.sweep);
  EXPECT_TRUE(plan.ok());
  return plan.ok() ? plan->jobs.at(0).settings.whole().at("task") : json();
}

// Rows by label name; a regression's are all under "".
std::map<std::string, std::size_t> counts(const Result<Dataset>& data) {
  std::map<std::string, std::size_t> out;
  EXPECT_TRUE(data.ok()) << (data.ok() ? "" : data.error().message);
  if (!data.ok()) return out;
  for (const Example& example : data->examples) {
    EXPECT_FALSE(example.text.empty());
    ++out[data->regression ? "" : data->labels.at(static_cast<std::size_t>(example.label))];
  }
  return out;
}

using Counts = std::map<std::string, std::size_t>;

struct Case {
  const char* preset;
  const char* where;  // of the sweep's task: a folder in the original layout, or files by name
  Counts train, eval;
  const char* metric;
};

std::vector<Case> cases() {
  return {
      {"cola", "path: CoLA", {{"0", 2528}, {"1", 6023}}, {{"0", 322}, {"1", 721}}, "matthews"},
      {"sst2", "path: SST-2", {{"0", 29780}, {"1", 37569}}, {{"0", 428}, {"1", 444}}, "accuracy"},
      {"mrpc", "path: MRPC", {{"0", 1194}, {"1", 2474}}, {{"0", 129}, {"1", 279}}, "accuracy"},
      {"stsb", "path: STS-B", {{"", 5749}}, {{"", 1500}}, "spearman"},
      {"rte",
       "path: RTE",
       {{"entailment", 1249}, {"not_entailment", 1241}},
       {{"entailment", 146}, {"not_entailment", 131}},
       "accuracy"},
      {"wnli", "path: WNLI", {{"0", 323}, {"1", 312}}, {{"0", 40}, {"1", 31}}, "accuracy"},
      {"qqp",
       "data: {train: QQP/train_subset.tsv, eval: QQP/dev_substitute.tsv}",
       {{"0", 14749}, {"1", 8747}},
       {{"0", 5981}, {"1", 3391}},
       "accuracy"},
      {"qnli",
       "data: {train: QNLI/train_subset.tsv, eval: QNLI/dev.tsv}",
       {{"entailment", 5027}, {"not_entailment", 4972}},
       {{"entailment", 2702}, {"not_entailment", 2761}},
       "accuracy"},
      {"mnli",
       "data: {train: MNLI/train_subset.tsv, eval: MNLI/dev_matched.tsv}",
       {{"entailment", 3408}, {"neutral", 3313}, {"contradiction", 3278}},
       {{"entailment", 3479}, {"neutral", 3123}, {"contradiction", 3213}},
       "accuracy"},
  };
}

TEST(Glue, EveryPresetReadsThePublishedFiles) {
  REQUIRE_GLUE();
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.preset);
    const json task = task_of("{preset: glue/" + std::string(c.preset) + ", " + c.where + "}");
    EXPECT_EQ(counts(load_task(kGlue, task, Split::train)), c.train);
    EXPECT_EQ(counts(load_task(kGlue, task, Split::eval)), c.eval);
    EXPECT_EQ(task.at("metric"), c.metric);
    const bool pair = c.preset != std::string("cola") && c.preset != std::string("sst2");
    EXPECT_EQ(load_task(kGlue, task, Split::eval)->examples[0].pair.has_value(), pair);
  }
}

TEST(Glue, TextsAreTakenAsTheyStand) {
  REQUIRE_GLUE();
  const auto mrpc = load_task(kGlue, task_of("{preset: glue/mrpc, path: MRPC}"), Split::train);
  EXPECT_TRUE(mrpc->examples[0].text.starts_with("Amrozi accused his brother , whom he called \" the witness \""));
  const auto stsb = load_task(kGlue, task_of("{preset: glue/stsb, path: STS-B}"), Split::train);
  EXPECT_EQ(stsb->examples[0].value, 5.0);
  const auto cola = load_task(kGlue, task_of("{preset: glue/cola, path: CoLA}"), Split::train);
  EXPECT_EQ(cola->examples[1].text, "One more pseudo generalization and I'm giving up.");
}

TEST(Glue, BothFilesOfMnliScore) {
  REQUIRE_GLUE();
  json task = task_of("{preset: glue/mnli, path: MNLI}");
  const auto more = more_evals(kGlue, task);
  ASSERT_EQ(more.size(), 1U);
  EXPECT_EQ(more[0].split, "eval_mismatched");
  task["eval"] = more[0].path;
  EXPECT_EQ(counts(load_task(kGlue, task, Split::eval)),
            (Counts{{"entailment", 3463}, {"neutral", 3129}, {"contradiction", 3240}}));
  EXPECT_TRUE(more_evals(kGlue, task).empty());
  EXPECT_TRUE(more_evals(kGlue, task_of("{preset: glue/rte, path: RTE}")).empty());
}

// The untouched layout, with its parses: columns are found by name.
TEST(Glue, OriginalLayoutWithAllItsColumns) {
  REQUIRE_GLUE();
  const fs::path samples = kGlue / "original_layout_samples";
  const auto data = [](const std::string& train) { return "{train: " + train + ", eval: " + train + "}"; };
  const auto mnli = load_task(
      samples, task_of("{preset: glue/mnli, data: {train: MNLI.train.tsv, eval: MNLI.dev_matched.tsv}}"), Split::eval);
  ASSERT_TRUE(mnli) << mnli.error().message;
  EXPECT_EQ(mnli->examples.size(), 48U);
  EXPECT_TRUE(mnli->examples[0].text.starts_with("Did you")) << mnli->examples[0].text;
  for (const auto& [preset, file] :
       std::map<std::string, std::string>{{"qnli", "QNLI.train.tsv"}, {"qqp", "QQP.train.tsv"}}) {
    const auto rows =
        load_task(samples, task_of("{preset: glue/" + preset + ", data: " + data(file) + "}"), Split::train);
    ASSERT_TRUE(rows) << rows.error().message;
    EXPECT_EQ(rows->examples.size(), 32U) << preset;
  }
}

// What `datasets` exports: other columns, ids for names, and for MNLI ids in another order than the original loaders'.
struct Exported {
  const char* preset;
  const char* header;
  const char* row;    // its label is in the last column but one
  const char* label;  // the name it must get
};

TEST(Glue, ExportedCopiesOfEveryTask) {
  const std::vector<Exported> all = {
      {"cola", "sentence,label,idx", "One two,1,0", "1"},
      {"cola", "sentence,label,idx", "One two,unacceptable,0", "0"},
      {"sst2", "sentence,label,idx", "One two,positive,0", "1"},
      {"mrpc", "sentence1,sentence2,label,idx", "One,\"two, three\",equivalent,0", "1"},
      {"qqp", "question1,question2,label,idx", "One,two,not_duplicate,0", "0"},
      {"mnli", "premise,hypothesis,label,idx", "One,two,0,0", "entailment"},
      {"mnli", "premise,hypothesis,label,idx", "One,two,1,0", "neutral"},
      {"mnli", "premise,hypothesis,label,idx", "One,two,2,0", "contradiction"},
      {"mnli", "premise,hypothesis,label,idx", "One,two,contradiction,0", "contradiction"},
      {"qnli", "question,sentence,label,idx", "One,two,1,0", "not_entailment"},
      {"rte", "sentence1,sentence2,label,idx", "One,two,0,0", "entailment"},
      {"wnli", "sentence1,sentence2,label,idx", "One,two,entailment,0", "1"},
  };
  for (const Exported& one : all) {
    SCOPED_TRACE(std::string(one.preset) + ": " + one.row);
    const TempFolder folder;
    folder.write("t.csv", std::string(one.header) + "\n" + one.row + "\n");
    const json task = task_of("{preset: glue/" + std::string(one.preset) + ", data: {train: t.csv, eval: t.csv}}");
    EXPECT_EQ(counts(load_task(folder.path(), task, Split::train)), (Counts{{one.label, 1}}));
  }
  const TempFolder folder;
  folder.write("v.jsonl", R"({"sentence1": "One", "sentence2": "two", "label": 3.5, "idx": 0})");
  const auto stsb =
      load_task(folder.path(), task_of("{preset: glue/stsb, data: {train: v.jsonl, eval: v.jsonl}}"), Split::eval);
  ASSERT_TRUE(stsb) << stsb.error().message;
  EXPECT_EQ(stsb->examples[0].value, 3.5);
}

// A label list in another order changes ids, never what a value means.
TEST(Glue, IdsFollowTheNames) {
  const TempFolder folder;
  folder.write("t.jsonl", R"({"premise": "One", "hypothesis": "two", "label": 2})");
  const json task = task_of(
      "{preset: glue/mnli, labels: [neutral, contradiction, entailment], data: {train: t.jsonl, eval: t.jsonl}}");
  const auto rows = load_task(folder.path(), task, Split::train);
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(rows->examples[0].label, 1);
  folder.write("t.jsonl", R"({"premise": "One", "hypothesis": "two", "label": 3})");
  EXPECT_FALSE(load_task(folder.path(), task, Split::train));
}

TEST(Glue, MalformedRowsOfQqpAreLeftOutAndCounted) {
  const TempFolder folder;
  folder.write("train.tsv",
               "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t1\t2\ta?\tb?"
               "\t0\n2\t3\t4\tbroken\nrest\t1\n3\t5\t6\tc?\td?\t1\n");
  folder.write("dev.tsv", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t1\t2\ta?\tb?\t0\n");
  const auto rows = load_task(folder.path(), task_of("{preset: glue/qqp, path: .}"), Split::train);
  ASSERT_TRUE(rows) << rows.error().message;
  EXPECT_EQ(rows->examples.size(), 2U);
  EXPECT_EQ(rows->skipped, 2U);
  // Any other task says where its file is broken.
  json other = task_of("{preset: glue/qqp, path: .}");
  other.erase("preset");
  EXPECT_FALSE(load_task(folder.path(), other, Split::train));
}

}  // namespace
}  // namespace fathom::data
