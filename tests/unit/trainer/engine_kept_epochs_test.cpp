// Jobs that keep several of their best epochs (keep_best): which they are, that each is a whole model of its own, and
// that interruptions change nothing.
#include <gtest/gtest.h>

#include <ATen/ops/full.h>

#include "tests/unit/trainer/engine_fixture.hpp"
#include "trainer/engine/predict.hpp"
#include "trainer/engine/resume.hpp"

namespace fathom::trainer::testing_support {
namespace {

class EngineKeptEpochs : public EngineTest {
 protected:
  static json keeping(int count) {
    auto settings = adapter_settings();
    settings["train"].update({{"epochs", 5}, {"lr", 0.003}});
    if (count > 1) settings["keep_best"] = count;
    return settings;
  }
  // What the reports of a job say should be kept, best first.
  static json expected(const Record& record, std::size_t count) {
    auto reports = record.reports;
    std::stable_sort(reports.begin(), reports.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
    if (reports.size() > count) reports.resize(count);
    json list = json::array();
    for (const auto& [epoch, objective] : reports) list.push_back({{"epoch", epoch}, {"objective", objective}});
    return list;
  }
  [[nodiscard]] json card(const std::string& tree) const {
    return json::parse(std::ifstream(root_ / "jobs" / tree / "fathom.json"));
  }
};

TEST(KeptEpochs, TheEarlierGoesFirstOnATieAndTheLastFallsOut) {
  std::vector<KeptEpoch> best;
  int asked = 0;
  const auto add = [&](std::uint32_t epoch, double objective, bool maximize) {
    keep_best(best, {epoch, objective, {}, {}}, maximize, 3, [&] {
      ++asked;
      return std::vector<at::Tensor>{at::full({1}, static_cast<double>(epoch))};
    });
  };
  const auto epochs = [&] {
    std::vector<std::uint32_t> out;
    for (const auto& kept : best) {
      EXPECT_EQ(kept.tensors.at(0).item<double>(), kept.epoch);
      out.push_back(kept.epoch);
    }
    return out;
  };
  using Epochs = std::vector<std::uint32_t>;
  add(1, 0.5, true), add(2, 0.7, true), add(3, 0.5, true);
  EXPECT_EQ(epochs(), (Epochs{2, 1, 3}));
  add(4, 0.5, true);  // as good as the last that is kept
  EXPECT_EQ(epochs(), (Epochs{2, 1, 3}));
  EXPECT_EQ(asked, 3);
  add(5, 0.7, true), add(6, 0.9, true);
  EXPECT_EQ(epochs(), (Epochs{6, 2, 5}));
  best.clear();
  add(1, 0.5, false), add(2, 0.7, false), add(3, 0.1, false), add(4, 0.6, false);
  EXPECT_EQ(epochs(), (Epochs{3, 1, 4}));
}

TEST_F(EngineKeptEpochs, EachIsAModelOfItsOwnAndTheBestIsThatOfAJobThatKeepsOne) {
  const auto one = run("one", keeping(1)), record = run("several", keeping(3));
  ASSERT_TRUE(record->finished()) << record->message;
  EXPECT_FALSE(one->result.contains("best_epochs"));
  EXPECT_FALSE(fs::exists(folder("one") / "final/epochs"));
  EXPECT_EQ(record->result["best_epochs"], expected(*record, 3));
  EXPECT_EQ(record->result["rows"], one->result["rows"]);
  EXPECT_EQ(card("several/final")["result"], record->result);
  auto evaluate = adapter_settings();
  evaluate["kind"] = "evaluate";
  evaluate["evaluate"] = {{"depths", {0}}};
  for (const auto& kept : record->result["best_epochs"]) {
    const auto epoch = kept["epoch"].dump();
    const bool best = kept == record->result["best_epochs"][0];
    const std::string tree = best ? "several/final" : "several/final/epochs/" + epoch;
    const auto result = card(tree)["result"];
    EXPECT_EQ(result["epoch"], kept["epoch"]);
    EXPECT_EQ(result["objective"], kept["objective"]);
    EXPECT_EQ(result["rows"][0]["epoch"], kept["epoch"]);
    // The weights are those that were measured then; a tree with epochs/ in it is a source as any other.
    const std::string job = "measured-" + epoch;
    fs::create_directories(folder(job) / "inputs");
    fs::copy(root_ / "jobs" / tree, folder(job) / "inputs/source", fs::copy_options::recursive);
    const auto measured = run(job, evaluate, {{"source", {{"job", "0"}, {"folder", "inputs/source"}}}});
    ASSERT_TRUE(measured->finished()) << measured->message;
    EXPECT_EQ(measured->result["objective"], kept["objective"]);
    PredictOptions predict_with;
    predict_with.model = root_ / "models/tiny";
    predict_with.adapters = {root_ / "jobs" / tree};
    predict_with.texts = {"good fine lovely film"};
    std::ostringstream out;
    EXPECT_EQ(predict(predict_with, out), 0);
  }
  fs::remove_all(folder("several") / "final/epochs");
  EXPECT_EQ(weights("several"), weights("one"));
}

TEST_F(EngineKeptEpochs, ResumedWhereverItWasInterruptedItEndsWithTheSameFiles) {
  const auto settings = keeping(3);
  const auto straight = run("straight", settings);
  ASSERT_TRUE(straight->finished()) << straight->message;
  // A pass opens, six train and three or fewer evaluate: some of these lie between epochs, most inside one.
  for (const int passes : {4, 8, 12, 17, 21, 26, 30}) {
    const std::string cut = "cut-" + std::to_string(passes), next = "next-" + std::to_string(passes);
    const auto record = add(cut, settings);
    for (int pass = 0; pass < passes; ++pass) runner_->turn();
    runner_->suspend_all();
    ASSERT_FALSE(record->checkpoints.empty());
    fs::create_directories(folder(next));
    fs::copy(folder(cut) / record->checkpoints.back(), folder(next) / "resume.ckpt");
    const auto resumed = run(next, settings);
    ASSERT_TRUE(resumed->finished()) << resumed->message;
    for (const auto& line : resumed->log) EXPECT_EQ(line.find("cannot be used"), std::string::npos) << line;
    EXPECT_EQ(resumed->result["best_epochs"], straight->result["best_epochs"]);
    EXPECT_EQ(weights(next), weights("straight")) << passes;
  }
}

TEST_F(EngineKeptEpochs, StoppedItLeavesThoseThatItHas) {
  const auto record = add("stopped", keeping(4));
  while (record->reports.size() < 2 && runner_->turn()) {
  }
  runner_->turn();
  runner_->stop(last_fence(), /*keep_best=*/true);
  ASSERT_EQ(record->order.back(), "stopped");
  EXPECT_EQ(record->result["best_epochs"], expected(*record, 4));
  EXPECT_EQ(record->result["best_epochs"].size(), 2U);
  const auto other = record->result["best_epochs"][1]["epoch"].dump();
  EXPECT_EQ(card("stopped/final/epochs/" + other)["result"]["epoch"], record->result["best_epochs"][1]["epoch"]);
}

TEST_F(EngineKeptEpochs, FusionsAndWholeModelsHaveThemToo) {
  auto fusion = fusion_settings();
  fusion["train"]["epochs"] = 3;
  fusion["keep_best"] = 2;
  const auto fused = run("fused", fusion, make_members("fused"));
  ASSERT_TRUE(fused->finished()) << fused->message;
  const auto second = fused->result["best_epochs"][1]["epoch"].dump();
  EXPECT_TRUE(fs::exists(folder("fused") / "final/epochs" / second / "adapter_setup.json"));
  EXPECT_FALSE(fused->result["attention"].empty());
  auto whole = adapter_settings();
  whole["kind"] = "finetune";
  whole.erase("adapter"), whole.erase("drop");
  whole["keep_best"] = 2;
  whole["train"]["lr"] = 0.001;
  const auto tuned = run("tuned", whole);
  ASSERT_TRUE(tuned->finished()) << tuned->message;
  const auto other = tuned->result["best_epochs"][1]["epoch"].dump();
  EXPECT_TRUE(fs::exists(folder("tuned") / "final/epochs" / other / "model.safetensors"));
}

}  // namespace
}  // namespace fathom::trainer::testing_support
