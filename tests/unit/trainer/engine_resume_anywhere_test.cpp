// A job of every kind and convention, suspended after each of its passes in turn, ends with the bits of an undisturbed
// one: inside an epoch, between accumulated steps, before and after an evaluation.
#include <gtest/gtest.h>

#include "tests/unit/trainer/engine_fixture.hpp"

namespace fathom::trainer::testing_support {
namespace {

struct Case {
  const char* name;
  bool fusion;
  json changes;  // laid over the settings, key by key
};

// 3 steps of 2 passes an epoch, 2 epochs; everything draws dropout.
const json kTrain = {{"epochs", 2}, {"gradient_accumulation", 2}, {"weight_decay", 0.1}};
const json kRobust = {{"kind", "robust"}, {"lo", 0}, {"hi", 3}};

std::vector<Case> cases() {
  const json hf = {{"recipe", "hf"}};
  const json robust = {{"drop", kRobust}};
  const json zero = {{"drop", kRobust}, {"train", {{"grads", "zero"}}}};
  const json lagged = {{"train", {{"regularizer", "lagged"}}}};
  const json both = {{"drop", kRobust}, {"train", {{"regularizer", "lagged"}, {"grads", "zero"}}}};
  json shared_zero = zero;
  shared_zero["adapter"] = {{"share", "layers"}, {"config", "double_seq_bn"}};
  return {{"adapter", false, json::object()},
          {"adapter_hf", false, hf},
          {"robust_grads_none", false, robust},
          {"robust_grads_zero", false, zero},
          {"shared", false, {{"adapter", {{"share", "layers"}}}}},
          {"shared_robust_zero", false, shared_zero},
          {"finetune", false, {{"kind", "finetune"}, {"adapter", nullptr}, {"drop", nullptr}}},
          {"fusion_before", true, json::object()},
          {"fusion_lagged", true, lagged},
          {"fusion_robust_before", true, robust},
          {"fusion_robust_lagged_zero", true, both}};
}

class EngineResumeAnywhere : public EngineTest, public testing::WithParamInterface<Case> {
 protected:
  [[nodiscard]] static json settings() {
    auto settings = GetParam().fusion ? fusion_settings() : adapter_settings();
    settings["train"].update(kTrain);
    settings.merge_patch(GetParam().changes);
    return settings;
  }
  // The inputs that the job needs, laid into its folder.
  json inputs(const std::string& job) { return GetParam().fusion ? make_members(job) : json::object(); }
};

TEST_P(EngineResumeAnywhere, EqualsTheUndisturbedBitForBit) {
  const auto straight = run("straight", settings(), inputs("straight"));
  ASSERT_TRUE(straight->finished()) << straight->message;
  int suspended = 0;
  for (int passes = 1;; ++passes) {
    SCOPED_TRACE("suspended after pass " + std::to_string(passes));
    const std::string cut = "cut-" + std::to_string(passes), next = "next-" + std::to_string(passes);
    const auto record = add(cut, settings(), inputs(cut));
    for (int pass = 0; pass < passes; ++pass) runner_->turn();
    runner_->suspend_all();
    if (record->finished()) break;
    const auto wanted = inputs(next);
    fs::create_directories(folder(next));
    if (!record->checkpoints.empty()) fs::copy(folder(cut) / record->checkpoints.back(), folder(next) / "resume.ckpt");
    const auto resumed = run(next, settings(), wanted);
    ASSERT_TRUE(resumed->finished()) << resumed->message;
    EXPECT_EQ(weights(next), weights("straight"));
    EXPECT_EQ(resumed->result["rows"], straight->result["rows"]);
    EXPECT_EQ(resumed->result["attention"], straight->result["attention"]);
    EXPECT_EQ(resumed->result["steps"], straight->result["steps"]);
    ++suspended;
  }
  // Opening, 6 steps, and at least one pass of each evaluation.
  EXPECT_GE(suspended, 8);
}

INSTANTIATE_TEST_SUITE_P(Kinds, EngineResumeAnywhere, testing::ValuesIn(cases()),
                         [](const auto& test) { return std::string(test.param.name); });

// The conventions are not without effect: a resume that lost one would still pass the test above if they were.
TEST_F(EngineTest, ConventionsEndAtDifferentWeights) {
  auto none = adapter_settings();
  none["train"].update(kTrain);
  none["drop"] = kRobust;
  auto zero = none;
  zero["train"]["grads"] = "zero";
  ASSERT_TRUE(run("none", none)->finished());
  ASSERT_TRUE(run("zero", zero)->finished());
  EXPECT_NE(weights("none"), weights("zero"));
  auto before = fusion_settings();
  auto lagged = before;
  lagged["train"]["regularizer"] = "lagged";
  ASSERT_TRUE(run("before", before, make_members("before"))->finished());
  ASSERT_TRUE(run("lagged", lagged, make_members("lagged"))->finished());
  EXPECT_NE(weights("before"), weights("lagged"));
}

}  // namespace
}  // namespace fathom::trainer::testing_support
