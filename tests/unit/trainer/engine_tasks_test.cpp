// Tasks with two files that score, and heads whose labels stand in another order than the task's.
#include <sstream>

#include <gtest/gtest.h>

#include "tests/unit/trainer/engine_fixture.hpp"
#include "trainer/adapters/label_order.hpp"
#include "trainer/checkpoint/adapter_files.hpp"
#include "trainer/engine/network.hpp"
#include "trainer/engine/predict.hpp"

namespace fathom::trainer::testing_support {
namespace {

class EngineTasks : public EngineTest {
 protected:
  void write(const std::string& file, const std::string& text) const {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  // Copies job FROM's final tree to job TO as INPUT, with its head's outputs in the order of `labels`.
  void lay(const std::string& from, const std::string& to, const std::string& input,
           const std::vector<std::string>& labels = {}) {
    const auto tree = folder(to) / "inputs" / input;
    fs::create_directories(tree.parent_path());
    fs::copy(folder(from) / "final", tree, fs::copy_options::recursive);
    if (labels.empty()) return;
    const auto config = resources_->model("models/tiny")->base->config;
    auto head = load_head(tree, config);
    ASSERT_TRUE(head) << head.error().message;
    const auto turned = with_labels(*head, labels);
    ASSERT_TRUE(turned) << turned.error().message;
    ASSERT_TRUE(save_head(tree, *turned, config));
  }
  static json evaluate_settings() {
    auto settings = adapter_settings();
    settings["kind"] = "evaluate";
    settings["evaluate"] = {{"depths", {0, 2}}};
    return settings;
  }
  static json source() { return {{"source", {{"job", "0"}, {"folder", "inputs/source"}}}}; }
};

std::map<std::string, double> values(const json& result, const std::string& split, int depth = 0) {
  std::map<std::string, double> out;
  for (const auto& row : result["rows"]) {
    if (row["split"] == split && row["depth"] == depth) out[row["metric"]] = row["value"].get<double>();
  }
  return out;
}

std::string mnli_rows(std::initializer_list<std::array<const char*, 3>> rows) {
  std::string text = "index\tsentence1\tsentence2\tgold_label\n";
  for (const auto& [first, second, label] : rows)
    text += std::string("0\t") + first + "\t" + second + "\t" + label + "\n";
  return text;
}

TEST_F(EngineTasks, BothFilesOfMnliAreScoredAndTheMatchedOneJudges) {
  const auto rows = mnli_rows({{"good film", "great plot", "entailment"},
                               {"bad film", "good film", "contradiction"},
                               {"the film", "an actor", "neutral"},
                               {"dull plot", "poor plot", "entailment"}});
  write("mnli/train.tsv", rows);
  write("mnli/dev_matched.tsv", rows);
  write("mnli/dev_mismatched.tsv", mnli_rows({{"fine film", "lovely film", "entailment"},
                                              {"awful", "fine", "contradiction"},
                                              {"a plot", "the actor", "neutral"}}));
  auto settings = adapter_settings("mnli");
  settings["task"] = {{"name", "mnli"},
                      {"preset", "glue/mnli"},
                      {"train", "mnli/train.tsv"},
                      {"eval", "mnli/dev_matched.tsv"},
                      {"text", {"sentence1", "sentence2"}},
                      {"label", "gold_label"},
                      {"labels", {"contradiction", "entailment", "neutral"}},
                      {"metric", "accuracy"}};
  settings["train"]["epochs"] = 2;
  const auto trained = run("mnli", settings);
  ASSERT_TRUE(trained->finished()) << trained->message;
  const auto matched = values(trained->result, "eval"), other = values(trained->result, "eval_mismatched");
  // Every metric of the task, for both files.
  for (const auto* metric : {"accuracy", "f1_macro", "f1_micro", "matthews", "loss"}) {
    EXPECT_TRUE(matched.contains(metric)) << metric;
    EXPECT_TRUE(other.contains(metric)) << metric;
  }
  EXPECT_EQ(trained->result["objective"], matched.at("accuracy"));
  for (const auto& row : trained->result["rows"])
    EXPECT_EQ(row["primary"], row["split"] == "eval" && row["metric"] == "accuracy");
  EXPECT_EQ(std::count_if(trained->metrics.begin(), trained->metrics.end(),
                          [](const auto& point) { return point.name == "eval_mismatched/accuracy"; }),
            2);
  // The second file's scores are those of an evaluation of that file alone.
  write("mnli/second.tsv", mnli_rows({{"fine film", "lovely film", "entailment"},
                                      {"awful", "fine", "contradiction"},
                                      {"a plot", "the actor", "neutral"}}));
  auto evaluate = settings;
  evaluate["kind"] = "evaluate";
  evaluate["evaluate"] = {{"depths", {0}}};
  evaluate["task"]["eval"] = "mnli/second.tsv";
  lay("mnli", "alone", "source");
  const auto alone = run("alone", evaluate, source());
  ASSERT_TRUE(alone->finished()) << alone->message;
  for (const auto& [metric, value] : values(alone->result, "eval")) EXPECT_EQ(value, other.at(metric)) << metric;
}

TEST_F(EngineTasks, LabelNamesAreKeptWithResultHeadAndCard) {
  ASSERT_TRUE(run("one", adapter_settings())->finished());
  const auto tree = folder("one") / "final";
  const auto card = json::parse(std::ifstream(tree / "fathom.json"));
  const auto head = json::parse(std::ifstream(tree / "head_config.json"));
  EXPECT_EQ(card["labels"], json({"neg", "pos"}));
  EXPECT_EQ(card["result"]["labels"], json({"neg", "pos"}));
  EXPECT_EQ(head["config"]["label2id"], (json{{"neg", 0}, {"pos", 1}}));
}

TEST_F(EngineTasks, AHeadInAnotherOrderScoresByNames) {
  ASSERT_TRUE(run("one", adapter_settings())->finished());
  lay("one", "same", "source");
  lay("one", "turned", "source", {"pos", "neg"});
  const auto same = run("same", evaluate_settings(), source());
  const auto turned = run("turned", evaluate_settings(), source());
  ASSERT_TRUE(same->finished() && turned->finished()) << turned->message;
  EXPECT_GT(values(same->result, "eval").at("accuracy"), 0.8);
  // Only the sum over classes in the loss is in another order.
  for (const int depth : {0, 2}) {
    for (const auto& [metric, value] : values(same->result, "eval", depth))
      EXPECT_NEAR(values(turned->result, "eval", depth).at(metric), value, 1e-7) << metric;
  }
  // A task that lists its labels the other way round: other ids, the same score.
  lay("one", "listed", "source");
  auto settings = evaluate_settings();
  settings["task"]["labels"] = {"pos", "neg"};
  const auto listed = run("listed", settings, source());
  ASSERT_TRUE(listed->finished()) << listed->message;
  EXPECT_EQ(values(listed->result, "eval").at("accuracy"), values(same->result, "eval").at("accuracy"));
  EXPECT_EQ(listed->result["labels"], json({"pos", "neg"}));
  // Other names are another task.
  lay("one", "strange", "source");
  settings["task"]["labels"] = {"neg", "other", "pos"};
  EXPECT_EQ(run("strange", settings, source())->error_class, "config");
}

TEST_F(EngineTasks, PredictNamesTheOutputsOfATurnedHead) {
  ASSERT_TRUE(run("one", adapter_settings())->finished());
  lay("one", "turned", "a", {"pos", "neg"});
  const auto labels = [&](const fs::path& tree) {
    PredictOptions options;
    options.model = root_ / "models/tiny";
    options.adapters = {tree};
    options.texts = {"good great film", "awful dull plot"};
    options.json = true;
    std::ostringstream out;
    EXPECT_EQ(predict(options, out), 0);
    std::istringstream lines(out.str());
    std::vector<std::string> found;
    for (std::string line; std::getline(lines, line);) found.push_back(json::parse(line)["label"]);
    return found;
  };
  EXPECT_EQ(labels(folder("one") / "final"), (std::vector<std::string>{"pos", "neg"}));
  EXPECT_EQ(labels(folder("turned") / "inputs/a"), (std::vector<std::string>{"pos", "neg"}));
}

// Several adapters in one pass answer what each answers alone, each at its own depth.
TEST_F(EngineTasks, PredictWithSeveralAdaptersAtOnce) {
  auto special = adapter_settings("b"), shorter = adapter_settings("c");
  special["drop"] = {{"kind", "specialized"}, {"n", 2}};
  special["adapter"]["config"] = "par_bn";
  shorter["train"]["max_length"] = 6;
  shorter["adapter"]["config"] = "double_seq_bn";
  ASSERT_TRUE(run("a", adapter_settings("a"))->finished());
  ASSERT_TRUE(run("b", special)->finished());
  ASSERT_TRUE(run("c", shorter)->finished());
  PredictOptions options;
  options.model = root_ / "models/tiny";
  options.texts = {"good great film", "awful dull plot and a poor actor is bad", "the film"};
  options.json = true;
  const auto lines = [&](const std::vector<std::string>& jobs, const std::vector<unsigned>& depths) {
    options.adapters.clear();
    for (const auto& job : jobs) options.adapters.push_back(folder(job) / "final");
    options.depths = depths;
    std::ostringstream out;
    EXPECT_EQ(predict(options, out), 0);
    std::istringstream in(out.str());
    std::vector<json> found;
    for (std::string line; std::getline(in, line);) found.push_back(json::parse(line));
    return found;
  };
  const std::vector<std::string> jobs = {"a", "b", "c", "a"};
  for (const std::vector<unsigned>& depths : {std::vector<unsigned>{}, {3}, {0, 3, 1, 2}, {4}}) {
    const auto together = lines(jobs, depths);
    ASSERT_EQ(together.size(), 3U);
    for (std::size_t m = 0; m < jobs.size(); ++m) {
      const auto alone = lines({jobs[m]}, depths.size() == 4 ? std::vector{depths[m]} : depths);
      for (std::size_t i = 0; i < alone.size(); ++i) {
        const auto& result = together[i]["results"][m];
        EXPECT_EQ(together[i]["text"], alone[i]["text"]);
        EXPECT_EQ(result["label"], alone[i]["label"]);
        for (std::size_t k = 0; k < 2; ++k)
          EXPECT_NEAR(result["logits"][k].get<double>(), alone[i]["logits"][k].get<double>(), 1e-5);
      }
    }
  }
  EXPECT_EQ(lines(jobs, {})[0]["results"][1]["depth"], 2);
  // The same as one saved setup (folders of another origin are cut at 128 tokens, so the third is left out).
  const auto base = resources_->model("models/tiny")->base;
  const auto a = load_network(folder("a") / "final", base), b = load_network(folder("b") / "final", base);
  SavedSetup saved;
  saved.setup.kind = SetupKind::parallel;
  saved.setup.children = {a.setup, b.setup};
  saved.heads = {a.head, b.head};
  ASSERT_TRUE(save_setup(folder("both") / "final", saved, base->config));
  const auto both = lines({"both"}, {});
  const auto apart = lines({"a", "b"}, {});
  for (std::size_t i = 0; i < both.size(); ++i) {
    for (std::size_t m = 0; m < 2; ++m) {
      EXPECT_EQ(both[i]["results"][m]["head"], m == 0 ? "a" : "b");
      EXPECT_NEAR(both[i]["results"][m]["logits"][0].get<double>(), apart[i]["results"][m]["logits"][0].get<double>(),
                  1e-5);
    }
  }
  options.depths = {1, 2, 3};  // of two adapters
  std::ostringstream out;
  EXPECT_EQ(predict(options, out), 1);
}

TEST_F(EngineTasks, AFusionTakesOverAMembersHeadByNames) {
  for (const std::string name : {"a", "b"}) ASSERT_TRUE(run("member-" + name, adapter_settings(name))->finished());
  auto settings = adapter_settings("a");
  settings["kind"] = "fusion";
  settings.erase("adapter");
  settings["fusion"] = {{"set", {"a", "b"}}, {"config", "dynamic"}, {"head", "member"}};
  settings["train"].update({{"epochs", 1}, {"lr", 0.0}});
  const json inputs = {
      {"members",
       {{{"name", "a"}, {"job", "0"}, {"folder", "inputs/a"}}, {{"name", "b"}, {"job", "0"}, {"folder", "inputs/b"}}}}};
  lay("member-a", "plain", "a");
  lay("member-a", "turned", "a", {"pos", "neg"});
  for (const auto* job : {"plain", "turned"}) lay("member-b", job, "b");
  const auto plain = run("plain", settings, inputs), turned = run("turned", settings, inputs);
  ASSERT_TRUE(plain->finished() && turned->finished()) << turned->message;
  for (const auto& [metric, value] : values(plain->result, "eval"))
    EXPECT_NEAR(values(turned->result, "eval").at(metric), value, 1e-7) << metric;
  EXPECT_EQ(json::parse(std::ifstream(folder("turned") / "final/fusion_a/head_config.json"))["config"]["label2id"],
            (json{{"neg", 0}, {"pos", 1}}));
}

}  // namespace
}  // namespace fathom::trainer::testing_support
