// Jobs that are measured inside epochs, for whoever judges them by steps.
#include <gtest/gtest.h>

#include "tests/unit/trainer/engine_fixture.hpp"

namespace fathom::trainer::testing_support {
namespace {

// 48 rows by 8: six steps an epoch, three epochs.
class EngineRungs : public EngineTest {
 protected:
  static json rungs(std::vector<int> steps) { return {{"rungs", std::move(steps)}}; }
  // Steps of the points on the objective's curve.
  static std::vector<std::uint64_t> measured(const Record& record) {
    std::vector<std::uint64_t> steps;
    for (const auto& point : record.metrics) {
      if (point.name == "objective") steps.push_back(point.step);
    }
    return steps;
  }
  static json without_times(json result) {
    for (const char* key : {"seconds", "steps_per_s", "peak_memory"}) result.erase(key);
    return result;
  }
};

TEST_F(EngineRungs, ReportThereAndAtEpochsAndEndWithTheSameBits) {
  auto settings = adapter_settings();
  settings["drop"] = {{"kind", "robust"}, {"lo", 0}, {"hi", 2}};
  const auto plain = run("plain", settings);
  const auto judged = run("judged", settings, rungs({2, 6, 8, 500}));
  ASSERT_TRUE(judged->finished()) << judged->message;
  EXPECT_EQ(measured(*judged), (std::vector<std::uint64_t>{2, 6, 8, 12, 18}));
  // The epochs that had ended.
  std::vector<std::uint32_t> epochs;
  for (const auto& [epoch, value] : judged->reports) epochs.push_back(epoch);
  EXPECT_EQ(epochs, (std::vector<std::uint32_t>{0, 1, 1, 2, 3}));
  EXPECT_EQ(judged->checkpoints.size(), 3U);
  EXPECT_EQ(weights("plain"), weights("judged"));
  EXPECT_EQ(without_times(plain->result), without_times(judged->result));
}

TEST_F(EngineRungs, OneThatRestedThereIsNotMeasuredTwice) {
  const auto whole = run("whole", adapter_settings());
  const auto first = add("first", adapter_settings(), rungs({3, 9}));
  while (first->reports.empty()) runner_->turn();
  runner_->stop(last_fence(), /*keep_best=*/false);
  ASSERT_EQ(first->checkpoints.size(), 1U);
  fs::create_directories(folder("second"));
  fs::copy(folder("first") / first->checkpoints.back(), folder("second") / "resume.ckpt");
  const auto second = run("second", adapter_settings(), rungs({3, 9}));
  ASSERT_TRUE(second->finished()) << second->message;
  EXPECT_EQ(measured(*first), (std::vector<std::uint64_t>{3}));
  EXPECT_EQ(measured(*second), (std::vector<std::uint64_t>{6, 9, 12, 18}));
  EXPECT_EQ(weights("whole"), weights("second"));
}

TEST_F(EngineRungs, OneThatWasInterruptedBeforeItWasMeasuredIsMeasured) {
  const auto first = add("first", adapter_settings(), rungs({3}));
  // The third step is made, its evaluation is not.
  const auto at = [&] {
    return std::any_of(first->metrics.begin(), first->metrics.end(), [](const auto& point) { return point.step == 3; });
  };
  while (!at()) runner_->turn();
  ASSERT_TRUE(first->reports.empty());
  runner_->stop(last_fence(), false);
  fs::create_directories(folder("second"));
  fs::copy(folder("first") / first->checkpoints.back(), folder("second") / "resume.ckpt");
  const auto second = run("second", adapter_settings(), rungs({3}));
  EXPECT_EQ(measured(*second), (std::vector<std::uint64_t>{3, 6, 12, 18}));
}

TEST_F(EngineRungs, OneStoppedBeforeAnEpochLeavesNoModel) {
  const auto record = add("early", adapter_settings(), rungs({2}));
  while (record->reports.empty()) runner_->turn();
  runner_->stop(last_fence(), true);
  EXPECT_EQ(record->order.back(), "stopped");
  EXPECT_TRUE(record->result.is_null());
}

TEST_F(EngineRungs, BeyondTheTrainingOrOutOfOrderAreMistakes) {
  const auto late = run("late", adapter_settings(), rungs({19, 40}));
  EXPECT_EQ(late->error_class, "config");
  EXPECT_EQ(late->message, "stop: the first rung is step 19, and the training has 18 steps");
  EXPECT_EQ(run("order", adapter_settings(), rungs({4, 4}))->error_class, "config");
  EXPECT_EQ(run("zero", adapter_settings(), rungs({0}))->error_class, "config");
}

}  // namespace
}  // namespace fathom::trainer::testing_support
