// Every kind of job from settings to its final tree, on a tiny model.
#include <gtest/gtest.h>

#include <ATen/CPUGeneratorImpl.h>

#include "tests/unit/trainer/engine_fixture.hpp"
#include "trainer/adapters/head.hpp"
#include "trainer/checkpoint/safetensors.hpp"

namespace fathom::trainer::testing_support {
namespace {

// Values of the primary metric by depth.
std::map<int, double> primary_by_depth(const json& result) {
  std::map<int, double> values;
  for (const auto& row : result["rows"]) {
    if (row["primary"].get<bool>()) values[row["depth"].get<int>()] = row["value"].get<double>();
  }
  return values;
}

class EngineJobs : public EngineTest {};

TEST_F(EngineJobs, AdapterLearnsReportsAndWritesAnAdapterHubFolder) {
  const auto record = run("one", adapter_settings());
  ASSERT_TRUE(record->finished()) << record->message;
  EXPECT_EQ(record->order, (std::vector<std::string>{"started", "report", "checkpoint", "report", "checkpoint",
                                                     "report", "checkpoint", "finished"}));
  EXPECT_GT(record->result["objective"].get<double>(), 0.8);
  EXPECT_EQ(record->result["steps"], 18);
  EXPECT_EQ(record->result["examples"], 144);
  EXPECT_EQ(record->result["labels"], json({"neg", "pos"}));
  for (const auto* name : {"adapter_config.json", "pytorch_adapter.bin", "adapter.safetensors", "head_config.json",
                           "pytorch_model_head.bin", "model_head.safetensors", "fathom.json"})
    EXPECT_TRUE(fs::exists(folder("one") / "final" / name)) << name;
  const auto card = json::parse(std::ifstream(folder("one") / "final/fathom.json"));
  EXPECT_EQ(card["settings"], adapter_settings());
  EXPECT_EQ(card["result"], record->result);
  // Every step is on the curve, and the evaluation says its depth.
  const auto count = [&](const std::string& name, int depth) {
    return std::count_if(record->metrics.begin(), record->metrics.end(),
                         [&](const auto& point) { return point.name == name && point.depth == depth; });
  };
  EXPECT_EQ(count("train/loss", -1), 18);
  EXPECT_EQ(count("eval/accuracy", 0), 3);
}

TEST_F(EngineJobs, BestEpochIsTheEarliestOfEqualOnes) {
  auto settings = adapter_settings();
  settings["train"]["lr"] = 0.0;  // nothing is learnt: all epochs are equal
  const auto record = run("flat", settings);
  ASSERT_TRUE(record->finished()) << record->message;
  EXPECT_EQ(record->result["epoch"], 1);
}

TEST_F(EngineJobs, PatienceEndsAJobThatStopsImproving) {
  auto settings = adapter_settings();
  settings["train"].update({{"lr", 0.0}, {"epochs", 9}, {"patience", 2}});
  const auto record = run("patient", settings);
  ASSERT_TRUE(record->finished()) << record->message;
  EXPECT_EQ(record->reports.size(), 3U);
}

TEST_F(EngineJobs, RobustIsJudgedByTheMeanOverItsRange) {
  auto settings = adapter_settings();
  settings["drop"] = {{"kind", "robust"}, {"lo", 0}, {"hi", 3}};
  const auto record = run("robust", settings);
  ASSERT_TRUE(record->finished()) << record->message;
  const auto values = primary_by_depth(record->result);
  ASSERT_EQ(values.size(), 4U);
  double sum = 0;
  for (const auto& [depth, value] : values) sum += value;
  EXPECT_NEAR(record->result["objective"].get<double>(), sum / 4, 1e-12);
}

TEST_F(EngineJobs, RobustWithoutARangeGoesToTheLastLayer) {
  auto all = adapter_settings(), spelled = adapter_settings();
  all["drop"] = {{"kind", "robust"}, {"lo", 0}, {"hi", nullptr}};
  spelled["drop"] = {{"kind", "robust"}, {"lo", 0}, {"hi", 3}};
  ASSERT_TRUE(run("all", all)->finished());
  ASSERT_TRUE(run("spelled", spelled)->finished());
  EXPECT_EQ(weights("all"), weights("spelled"));
  // What is made of it needs the number.
  EXPECT_EQ(json::parse(std::ifstream(folder("all") / "final/fathom.json"))["drop"], spelled["drop"]);
}

TEST_F(EngineJobs, SpecialisedLeavesOutItsLayersAndIsMeasuredFromItsDepth) {
  auto settings = adapter_settings();
  settings["drop"] = {{"kind", "specialized"}, {"n", 2}};
  ASSERT_TRUE(run("special", settings)->finished());
  const auto config = json::parse(std::ifstream(folder("special") / "final/adapter_config.json"));
  EXPECT_EQ(config["config"]["leave_out"], json({0, 1}));
  auto evaluate = adapter_settings();
  evaluate["kind"] = "evaluate";
  evaluate["evaluate"] = {{"depths", "all"}};
  const auto record = run("measured", evaluate, lay_source("special", "measured"));
  ASSERT_TRUE(record->finished()) << record->message;
  const auto values = primary_by_depth(record->result);
  ASSERT_EQ(values.size(), 2U);
  EXPECT_TRUE(values.contains(2) && values.contains(3));
}

// torch.manual_seed(seed); add_adapter(); add_classification_head(), whatever the depth: what interop_files_test.py
// shows of these parts holds for whole jobs.
TEST_F(EngineJobs, EveryDepthOfASeedStartsWhereTheLibraryDoes) {
  const auto model = resources_->model("models/tiny")->base->config;
  for (const int n : {0, 1, 2, 3}) {
    const std::string name = "start-" + std::to_string(n);
    auto settings = adapter_settings();
    settings["seed"] = 11;
    settings["train"].update({{"lr", 0.0}, {"epochs", 1}});
    settings["drop"] = {{"kind", n == 0 ? "standard" : "specialized"}, {"n", n}};
    ASSERT_TRUE(run(name, settings)->finished());
    auto config = *adapter_preset("seq_bn[reduction_factor=4]");
    for (int layer = 0; layer < n; ++layer) config.leave_out.push_back(layer);
    at::Generator generator = at::detail::createCPUGenerator(11);
    auto expected = make_adapter("toy", config, model, generator)->parameters(model);
    const auto head = make_head("toy", HeadConfig{}, model, generator)->parameters();
    auto saved = read_safetensors(folder(name) / "final/adapter.safetensors")->tensors;
    saved.merge(read_safetensors(folder(name) / "final/model_head.safetensors")->tensors);
    expected.insert(expected.end(), head.begin(), head.end());
    ASSERT_EQ(saved.size(), expected.size());
    for (const auto& parameter : expected)
      EXPECT_TRUE(saved.at(parameter.name).equal(parameter.value)) << parameter.name;
  }
}

TEST_F(EngineJobs, EvaluationAtTheTrainedDepthRepeatsTheTrainingsScore) {
  const auto trained = run("one", adapter_settings());
  auto settings = adapter_settings();
  settings["kind"] = "evaluate";
  settings["evaluate"] = {{"depths", {0, 2}}};
  const auto measured = run("again", settings, lay_source("one", "again"));
  ASSERT_TRUE(measured->finished()) << measured->message;
  EXPECT_EQ(primary_by_depth(measured->result)[0], primary_by_depth(trained->result)[0]);
  EXPECT_EQ(primary_by_depth(measured->result).size(), 2U);
  EXPECT_FALSE(fs::exists(folder("again") / "final/adapter_config.json"));
}

TEST_F(EngineJobs, FusionThenPruneThenEvaluate) {
  const auto inputs = make_members("fused");
  const auto fused = run("fused", fusion_settings(), inputs);
  ASSERT_TRUE(fused->finished()) << fused->message;
  for (const auto* path : {"adapter_setup.json", "a/adapter_config.json", "b/adapter_config.json",
                           "a,b/adapter_fusion_config.json", "fusion_a/head_config.json"})
    EXPECT_TRUE(fs::exists(folder("fused") / "final" / path)) << path;
  ASSERT_EQ(fused->result["attention"].size(), 8U);  // 4 layers of 2 adapters
  EXPECT_NEAR(fused->result["attention"][0]["mean_weight"].get<double>() +
                  fused->result["attention"][1]["mean_weight"].get<double>(),
              1.0, 1e-5);

  auto prune = fusion_settings();
  prune["kind"] = "prune";
  prune["prune"] = {{"keep", 1}, {"by", "layer"}, {"data", "train"}, {"rows", "all"}, {"pad", "masked"}};
  const auto pruned = run("pruned", prune, lay_source("fused", "pruned"));
  ASSERT_TRUE(pruned->finished()) << pruned->message;
  ASSERT_EQ(pruned->result["kept"].size(), 4U);
  for (const auto& row : pruned->result["attention"]) EXPECT_EQ(row["kept_at"].is_null(), row["rank"] != 1);

  auto evaluate = fusion_settings();
  evaluate["kind"] = "evaluate";
  evaluate["evaluate"] = {{"depths", "all"}};
  const auto measured = run("curve", evaluate, lay_source("pruned", "curve"));
  ASSERT_TRUE(measured->finished()) << measured->message;
  EXPECT_EQ(primary_by_depth(measured->result).size(), 4U);
  // The tree that was saved is the model that was measured.
  EXPECT_EQ(primary_by_depth(measured->result)[0], primary_by_depth(pruned->result)[0]);
}

TEST_F(EngineJobs, PruneBelowAThresholdKeepsTheAttended) {
  auto settings = fusion_settings();
  settings["train"]["epochs"] = 3;
  const auto fused = run("fused", settings, make_members("fused"));
  ASSERT_TRUE(fused->finished()) << fused->message;
  // Between the weights of the second layer, which are unequal in a trained fusion.
  std::map<int, std::map<std::string, double>> means;
  for (const auto& row : fused->result["attention"]) means[row["layer"]][row["adapter"]] = row["mean_weight"];
  const double threshold = std::max(means[1]["a"], means[1]["b"]) - 1e-4;
  auto prune = fusion_settings();
  prune["kind"] = "prune";
  prune["prune"] = {{"threshold", threshold}, {"by", "layer"}, {"data", "train"}, {"rows", "all"}, {"pad", "masked"}};
  const auto pruned = run("pruned", prune, lay_source("fused", "pruned"));
  ASSERT_TRUE(pruned->finished()) << pruned->message;
  ASSERT_EQ(pruned->result["kept"].size(), 4U);
  for (int layer = 0; layer < 4; ++layer) {
    const auto& mean = means[layer];
    json expected = json::array();
    for (const auto& [name, weight] : mean)
      if (weight >= threshold) expected.push_back(name);
    if (expected.empty()) expected.push_back(mean.at("a") >= mean.at("b") ? "a" : "b");
    EXPECT_EQ(pruned->result["kept"][layer], expected) << "layer " << layer;
  }
  EXPECT_EQ(pruned->result["kept"][1].size(), 1U);
  auto evaluate = fusion_settings();
  evaluate["kind"] = "evaluate";
  evaluate["evaluate"] = {{"depths", "all"}};
  const auto measured = run("curve", evaluate, lay_source("pruned", "curve"));
  ASSERT_TRUE(measured->finished()) << measured->message;
  EXPECT_EQ(primary_by_depth(measured->result)[0], primary_by_depth(pruned->result)[0]);
}

TEST_F(EngineJobs, SharedWeightsAreTrainedAsOneAndSavedInEveryLayer) {
  auto settings = adapter_settings();
  settings["adapter"]["share"] = "layers";
  settings["drop"] = {{"kind", "robust"}, {"lo", 0}, {"hi", 3}};
  const auto trained = run("shared", settings);
  ASSERT_TRUE(trained->finished()) << trained->message;
  const auto file = read_safetensors(folder("shared") / "final/adapter.safetensors");
  ASSERT_TRUE(file);
  const auto key = [](int layer) {
    return "bert.encoder.layer." + std::to_string(layer) + ".output.adapters.toy.adapter_up.weight";
  };
  for (int layer = 1; layer < 4; ++layer) EXPECT_TRUE(file->tensors.at(key(layer)).equal(file->tensors.at(key(0))));
  // Without a word of it in the folder it measures as it was trained: its layers are equal.
  auto evaluate = adapter_settings();
  evaluate["kind"] = "evaluate";
  evaluate["evaluate"] = {{"depths", "all"}};
  const auto measured = run("measured", evaluate, lay_source("shared", "measured"));
  ASSERT_TRUE(measured->finished()) << measured->message;
  EXPECT_EQ(primary_by_depth(measured->result), primary_by_depth(trained->result));
}

TEST_F(EngineJobs, FinetuneTrainsACopyOfTheWholeModel) {
  auto settings = adapter_settings();
  settings.erase("adapter");
  settings.erase("drop");
  settings["kind"] = "finetune";
  settings["objective"]["depth"] = 2;  // has no meaning here: there is nothing to drop
  settings["train"]["lr"] = 0.003;
  // A neighbour on the shared base, before, beside and after, is not disturbed.
  ASSERT_TRUE(run("before", adapter_settings())->finished());
  const auto beside = add("beside", adapter_settings());
  const auto record = add("whole", settings);
  run_all();
  ASSERT_TRUE(record->finished()) << record->message;
  ASSERT_TRUE(beside->finished());
  ASSERT_TRUE(run("after", adapter_settings())->finished());
  EXPECT_EQ(weights("beside"), weights("before"));
  EXPECT_EQ(weights("after"), weights("before"));
  EXPECT_GT(record->result["objective"].get<double>(), 0.8);
  for (const auto* name : {"config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json", "fathom.json"})
    EXPECT_TRUE(fs::exists(folder("whole") / "final" / name)) << name;
  const auto config = json::parse(std::ifstream(folder("whole") / "final/config.json"));
  EXPECT_EQ(config["architectures"], json({"BertForSequenceClassification"}));
  EXPECT_EQ(config["label2id"], (json{{"neg", 0}, {"pos", 1}}));
  // Every tensor moved, and the word list's too.
  const auto base = read_safetensors(root_ / "models/tiny/model.safetensors")->tensors;
  const auto tuned = read_safetensors(folder("whole") / "final/model.safetensors")->tensors;
  for (const auto& [key, tensor] : base) {
    ASSERT_TRUE(tuned.contains("bert." + key)) << key;
    EXPECT_FALSE(tuned.at("bert." + key).equal(tensor)) << key;
  }
  EXPECT_TRUE(tuned.contains("bert.pooler.dense.weight"));  // the base had none, and its family's head needs one

  auto evaluate = settings;
  evaluate["kind"] = "evaluate";
  evaluate["evaluate"] = {{"depths", "all"}};
  const auto measured = run("measured", evaluate, lay_source("whole", "measured"));
  ASSERT_TRUE(measured->finished()) << measured->message;
  EXPECT_EQ(primary_by_depth(measured->result), primary_by_depth(record->result));
  EXPECT_EQ(primary_by_depth(measured->result).size(), 1U);
}

TEST_F(EngineJobs, FusionCanTakeOverTheMembersHead) {
  auto settings = fusion_settings();
  settings["fusion"]["head"] = "member";
  const auto record = run("fused", settings, make_members("fused"));
  ASSERT_TRUE(record->finished()) << record->message;
}

TEST_F(EngineJobs, AccumulatedPassesMakeOneStep) {
  auto whole = adapter_settings(), parts = adapter_settings();
  whole["train"]["batch"] = 8;
  parts["train"].update({{"batch", 4}, {"gradient_accumulation", 2}});
  const auto a = run("whole", whole), b = run("parts", parts);
  ASSERT_TRUE(a->finished() && b->finished());
  EXPECT_EQ(a->result["steps"], b->result["steps"]);
  EXPECT_NEAR(a->metrics.front().value, b->metrics.front().value, 1e-5);
}

}  // namespace
}  // namespace fathom::trainer::testing_support
