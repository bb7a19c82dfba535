// Jobs of precision bf16, from their settings to what is measured and predicted with their trees.
#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "common/files.hpp"
#include "tests/unit/trainer/engine_fixture.hpp"
#include "trainer/engine/engine.hpp"
#include "trainer/engine/errors.hpp"
#include "trainer/engine/network.hpp"
#include "trainer/engine/predict.hpp"

namespace fathom::trainer::testing_support {
namespace {

class EnginePrecision : public EngineTest {
 protected:
  static json settings(const std::string& precision) {
    auto settings = adapter_settings();
    settings["precision"] = precision;
    settings["train"]["epochs"] = 1;
    return settings;
  }
  // Values of the eval split at a depth, by metric.
  static std::map<std::string, double> scores(const Record& record, int depth) {
    std::map<std::string, double> values;
    for (const auto& row : record.result["rows"]) {
      if (row["split"] == "eval" && row["depth"] == depth) values[row["metric"]] = row["value"];
    }
    return values;
  }
  std::vector<double> logits(const fs::path& tree) {
    PredictOptions options;
    options.model = root_ / "models/tiny";
    options.adapters = {tree};
    options.texts = {"good great film"};
    options.json = true;
    std::ostringstream out;
    EXPECT_EQ(predict(options, out), 0);
    return json::parse(out.str())["logits"];
  }
};

TEST_F(EnginePrecision, IsAskedForByTheJob) {
  const auto exact = run("exact", settings("fp32")), rough = run("rough", settings("bf16"));
  ASSERT_TRUE(exact->finished() && rough->finished()) << rough->message;
  EXPECT_NE(weights("exact"), weights("rough"));
  EXPECT_EQ(rough->result["rows"].size(), exact->result["rows"].size());
  const auto refused = run("other", settings("tf16"));
  EXPECT_EQ(refused->error_class, "config");
  EXPECT_NE(refused->message.find("precision"), std::string::npos) << refused->message;
}

// Tensor cores are a GPU's: a CPU would make a result of another identity than it says.
TEST_F(EnginePrecision, CpusDoNotTrainInTf32) {
  auto whole = settings("tf32");
  whole["kind"] = "finetune";
  whole.erase("adapter");
  whole.erase("drop");
  for (const auto& asked : {settings("tf32"), whole}) {
    const auto refused = run("refused", asked);
    EXPECT_EQ(refused->error_class, "config");
    EXPECT_NE(refused->message.find("precision is tf32, which cpu does not have"), std::string::npos)
        << refused->message;
  }
}

// The switch is the process's: it is on for the pass that asks for it, backward too, and for no neighbour.
TEST_F(EnginePrecision, Tf32IsOnForItsOwnPass) {
  const auto spec = parse_spec(settings("fp32"));
  const auto model = resources_->model(spec.model);
  const auto task = resources_->task(spec.model, spec.task, data::Split::eval, spec.train.max_length);
  auto network = make_adapter_network(spec, model->base, *task);
  const std::vector<std::uint32_t> rows = {0, 1, 2};
  const auto batch = make_batch(task->rows, rows);
  auto& engine = reference_engine();
  const auto on = [&] {
    bool seen = false;
    engine.learn(network, batch, 1.0, {}, [&] { seen = at::globalContext().allowTF32CuBLAS(); });
    return seen;
  };
  EXPECT_FALSE(on());
  network.precision = Precision::tf32;
  EXPECT_TRUE(on());
  EXPECT_FALSE(at::globalContext().allowTF32CuBLAS());
  network.precision = Precision::fp32;
  EXPECT_FALSE(on());
}

TEST_F(EnginePrecision, HoldsForEvaluationsAndPredictions) {
  const auto trained = run("rough", settings("bf16"));
  ASSERT_TRUE(trained->finished()) << trained->message;
  const auto measure = [&](const std::string& name, const std::string& precision) {
    auto evaluation = settings(precision);
    evaluation["kind"] = "evaluate";
    evaluation["evaluate"] = {{"depths", {0, 2}}};
    return run(name, evaluation, lay_source("rough", name));
  };
  const auto same = measure("same", "bf16"), exact = measure("exact", "fp32");
  ASSERT_TRUE(same->finished() && exact->finished()) << same->message;
  EXPECT_NEAR(scores(*same, 0).at("loss"), scores(*trained, 0).at("loss"), 1e-6);
  EXPECT_GT(std::abs(scores(*exact, 0).at("loss") - scores(*same, 0).at("loss")), 1e-7);
  EXPECT_NEAR(scores(*exact, 0).at("loss"), scores(*same, 0).at("loss"), 0.02);
  // Predictions are made as the tree's card says that it was trained.
  const auto tree = folder("rough") / "final";
  const auto rough_logits = logits(tree);
  auto card = json::parse(value_or_fail(read_file((tree / "fathom.json").string()), ErrorClass::disk));
  card["settings"]["precision"] = "fp32";
  value_or_fail(write_file_atomic((tree / "fathom.json").string(), card.dump()), ErrorClass::disk);
  const auto exact_logits = logits(tree);
  EXPECT_NE(exact_logits, rough_logits);
  // What a GPU trained on its tensor cores is read by CPUs in float32.
  card["settings"]["precision"] = "tf32";
  value_or_fail(write_file_atomic((tree / "fathom.json").string(), card.dump()), ErrorClass::disk);
  EXPECT_EQ(logits(tree), exact_logits);
  for (std::size_t i = 0; i < exact_logits.size(); ++i) EXPECT_NEAR(exact_logits[i], rough_logits[i], 0.05);
}

// Fusions, what they were pruned to, and whole models: the same rounding, whichever engine computes them.
TEST_F(EnginePrecision, EveryKindOfJobHasIt) {
  auto fusion = fusion_settings();
  fusion["precision"] = "bf16";
  const auto fused = run("fused", fusion, make_members("fused"));
  ASSERT_TRUE(fused->finished()) << fused->message;
  auto prune = fusion;
  prune["kind"] = "prune";
  prune["prune"] = {{"keep", 1}, {"by", "layer"}, {"data", "train"}, {"rows", "all"}, {"pad", "masked"}};
  const auto pruned = run("pruned", prune, lay_source("fused", "pruned"));
  ASSERT_TRUE(pruned->finished()) << pruned->message;
  prune["precision"] = "fp32";
  const auto exact = run("exact", prune, lay_source("fused", "exact"));
  ASSERT_TRUE(exact->finished()) << exact->message;
  EXPECT_NE(pruned->result["attention"], exact->result["attention"]);
  auto whole = settings("bf16");
  whole["kind"] = "finetune";
  whole.erase("adapter");
  whole.erase("drop");
  const auto tuned = run("whole", whole);
  EXPECT_TRUE(tuned->finished()) << tuned->message;
}

}  // namespace
}  // namespace fathom::trainer::testing_support
