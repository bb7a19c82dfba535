// Schedule, decay rule, AdamW and clipping by hand-computed values. Whole trajectories are checked in
// optim_trajectories_test.cpp.
#include <cmath>

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "trainer/optim/adamw.hpp"
#include "trainer/optim/clip.hpp"
#include "trainer/optim/schedule.hpp"

namespace fathom::trainer {
namespace {

Parameter parameter(const std::string& name, at::Tensor value) {
  const bool decay = decays(name, value);
  return {name, value.set_requires_grad(true), decay};
}

TEST(Schedule, LinearRisesFromZeroAndFallsToZero) {
  const Schedule schedule{ScheduleKind::linear, 1e-3, 5, 50};
  EXPECT_DOUBLE_EQ(schedule.at(0), 0.0);
  EXPECT_DOUBLE_EQ(schedule.at(1), 2e-4);
  EXPECT_DOUBLE_EQ(schedule.at(5), 1e-3);
  EXPECT_NEAR(schedule.at(6), 0.0009777777777777777, 1e-18);
  EXPECT_NEAR(schedule.at(49), 1e-3 / 45, 1e-18);
  EXPECT_DOUBLE_EQ(schedule.at(50), 0.0);
}

TEST(Schedule, WithoutWarmupTheFirstStepHasThePeak) {
  EXPECT_DOUBLE_EQ((Schedule{ScheduleKind::linear, 2.0, 0, 4}.at(0)), 2.0);
  EXPECT_DOUBLE_EQ((Schedule{ScheduleKind::linear, 2.0, 0, 4}.at(3)), 0.5);
}

TEST(Schedule, CosineAndConstant) {
  const Schedule cosine{ScheduleKind::cosine, 1.0, 0, 10};
  EXPECT_DOUBLE_EQ(cosine.at(0), 1.0);
  EXPECT_NEAR(cosine.at(5), 0.5, 1e-15);
  EXPECT_NEAR(cosine.at(10), 0.0, 1e-15);
  const Schedule constant{ScheduleKind::constant, 1.0, 2, 10};
  EXPECT_DOUBLE_EQ(constant.at(1), 0.5);
  EXPECT_DOUBLE_EQ(constant.at(9), 1.0);
}

TEST(Schedule, WarmupIsAShareBelowOneAndStepsFromOne) {
  EXPECT_EQ(warmup_steps(0.06, 50), 3U);
  EXPECT_EQ(warmup_steps(0.06, 32), 2U);  // 1.92 rounds up
  EXPECT_EQ(warmup_steps(0.0, 50), 0U);
  EXPECT_EQ(warmup_steps(7, 50), 7U);
  EXPECT_THROW(schedule_kind("linaer"), std::invalid_argument);
}

TEST(DecayRule, BiasesAndNormsDoNotDecay) {
  EXPECT_FALSE(decays("heads.a.1.bias", at::zeros({2})));
  EXPECT_FALSE(decays("x.adapter_norm_before.weight", at::zeros({4})));
  EXPECT_TRUE(decays("x.adapter_up.weight", at::zeros({4, 2})));
  EXPECT_TRUE(decays("x.adapters.a.scaling", at::zeros({1})));
}

TEST(AdamW, FirstStepMovesByTheRateAndDecaysDecoupled) {
  auto weight = at::full({1, 1}, 2.0F);
  AdamW adamw({parameter("w.weight", weight)}, {0.9, 0.999, 1e-8, 0.1});
  weight.mutable_grad() = at::full({1, 1}, 0.5F);
  adamw.step(0.01);
  // w * (1 - lr * wd) - lr * m/(sqrt(v)+eps), and after bias correction the quotient of a first step is 1.
  EXPECT_NEAR(weight.item<float>(), 2.0 * (1 - 0.001) - 0.01, 1e-6);
}

TEST(AdamW, UndefinedGradientLeavesTensorMomentsAndCountAlone) {
  auto reached = at::full({2, 2}, 1.0F);
  auto skipped = at::full({2, 2}, 1.0F);
  AdamW adamw({parameter("a.weight", reached), parameter("b.weight", skipped)}, {0.9, 0.999, 1e-8, 0.1});
  reached.mutable_grad() = at::full({2, 2}, 1.0F);
  skipped.mutable_grad() = at::full({2, 2}, 1.0F);
  adamw.step(0.1);
  const auto before = skipped.detach().clone();
  clear_gradients(adamw.parameters());
  reached.mutable_grad() = at::full({2, 2}, 1.0F);
  adamw.step(0.1);
  EXPECT_TRUE(at::equal(before, skipped.detach()));
  for (const auto& [name, tensor] : adamw.state()) {
    if (name == "a.weight/step") {
      EXPECT_EQ(tensor.item<float>(), 2.0F);
    }
    if (name == "b.weight/step") {
      EXPECT_EQ(tensor.item<float>(), 1.0F);
    }
  }
}

TEST(AdamW, SavedStateContinuesBitForBit) {
  auto straight = at::full({3}, 1.0F), resumed = at::full({3}, 1.0F);
  AdamW first({parameter("p", straight)}, {});
  AdamW second({parameter("p", resumed)}, {});
  const auto run = [](AdamW& adamw, float gradient) {
    adamw.parameters()[0].value.mutable_grad() = at::full({3}, gradient);
    adamw.step(0.01);
  };
  run(first, 0.3F);
  run(second, 0.3F);
  AdamW third({parameter("p", resumed)}, {});
  third.load_state(second.state());
  run(first, -0.7F);
  run(third, -0.7F);
  EXPECT_TRUE(at::equal(straight.detach(), resumed.detach()));
  EXPECT_THROW(third.load_state({}), std::runtime_error);
}

TEST(Clip, IsByTheGlobalNormOverDefinedGradients) {
  auto a = parameter("a", at::zeros({1})), b = parameter("b", at::zeros({1})), c = parameter("c", at::zeros({1}));
  a.value.mutable_grad() = at::full({1}, 3.0F);
  b.value.mutable_grad() = at::full({1}, 4.0F);
  EXPECT_DOUBLE_EQ(gradient_norm({a, b, c}), 5.0);
  EXPECT_DOUBLE_EQ(gradient_norm({c}), 0.0);
  EXPECT_NEAR(clip_factor(5, 1), 0.2, 1e-6);
  // Below the limit nothing changes, nor without one.
  EXPECT_EQ(clip_factor(5, 10), 1.0);
  EXPECT_EQ(clip_factor(5, 0), 1.0);
}

TEST(Clip, NotANumberIsReported) {
  auto a = parameter("a", at::zeros({1}));
  a.value.mutable_grad() = at::full({1}, std::nanf(""));
  EXPECT_TRUE(std::isnan(gradient_norm({a})));
}

}  // namespace
}  // namespace fathom::trainer
