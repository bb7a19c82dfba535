// Whole training runs against the `adapters` package: learning rate, loss and gradient norm of every step, the
// gradients of the first, and every weight and the predictions at the end. One case per entry of the manifest.
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/narrow.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/unit/trainer/trajectory.hpp"

namespace fathom::trainer {
namespace {

using golden::difference;
using nlohmann::json;

class GoldenTrajectory : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!golden::base_present(GetParam())) GTEST_SKIP() << "the base model of " << GetParam() << " is not here";
    run_ = std::make_unique<golden::Trajectory>(GetParam());
  }
  [[nodiscard]] double tolerance(const char* what) const { return run_->recorded.at("tolerance").at(what); }
  void compare_end(const NamedTensors& last) const;
  void compare_digest(const NamedTensors& digest) const;

  std::unique_ptr<golden::Trajectory> run_;
};

// Its true gradient is zero; AdamW makes real steps of rounding noise.
bool is_noise(const std::string& name) { return name.ends_with("key.bias"); }

void GoldenTrajectory::compare_end(const NamedTensors& last) const {
  for (const auto& parameter : run_->network.trained) {
    if (is_noise(parameter.name)) continue;
    ASSERT_TRUE(last.contains(parameter.name)) << parameter.name;
    EXPECT_LE(difference(last.at(parameter.name), parameter.value), tolerance("final")) << parameter.name;
  }
  EXPECT_LE(difference(last.at("eval_logits"), run_->eval_logits()), tolerance("final"));
}

// [norm, sum, first eight entries] of each tensor: what is left of runs whose weights are too large to keep.
void GoldenTrajectory::compare_digest(const NamedTensors& digest) const {
  auto all = run_->network.trained;
  all.push_back({"eval_logits", run_->eval_logits()});
  ASSERT_EQ(all.size(), digest.size());
  for (const auto& [name, tensor, decay] : all) {
    if (is_noise(name)) continue;
    const auto expected = digest.at(name);
    const auto values = tensor.detach().to(at::kDouble).flatten();
    const auto first = std::min<std::int64_t>(8, values.numel());
    EXPECT_LE(difference(at::narrow(expected, 0, 2, first), at::narrow(values, 0, 0, first)), tolerance("final"))
        << name;
    // Independent errors of one weight's tolerance.
    const double spread = tolerance("final") * std::sqrt(static_cast<double>(values.numel()));
    EXPECT_NEAR(expected[0].item<double>(), at::linalg_vector_norm(values).item<double>(), spread) << name;
    EXPECT_NEAR(expected[1].item<double>(), values.sum().item<double>(), spread) << name;
  }
}

TEST_P(GoldenTrajectory, FollowsTheReferenceStepByStep) {
  const auto& expected = run_->recorded;
  const auto depths = run_->depths();
  Training training(run_->network, run_->options());
  for (std::size_t step = 0; step < expected.at("loss").size(); ++step) {
    const auto report = training.step(step, {run_->batch(expected["order"][step])}, depths[step]);
    EXPECT_NEAR(report.lr, expected["lr"][step].get<double>(), 1e-12) << "step " << step;
    EXPECT_NEAR(report.loss, expected["loss"][step].get<double>(), tolerance("loss")) << "step " << step;
    EXPECT_NEAR(report.grad_norm, expected["grad_norm"][step].get<double>(), tolerance("grad_norm")) << "step " << step;
    EXPECT_NEAR(report.reg_loss.value_or(0), expected["reg_loss"][step].get<double>(), tolerance("loss"))
        << "step " << step;
  }
  if (std::filesystem::exists(run_->folder / "final.safetensors"))
    compare_end(golden::read_tensors(run_->folder / "final.safetensors"));
  else
    compare_digest(golden::read_tensors(run_->folder / "final_digest.safetensors"));
}

class GoldenFirstGradients : public GoldenTrajectory {};

TEST_P(GoldenFirstGradients, AreTheReferences) {
  const auto expected = golden::read_tensors(run_->folder / "first_grads.safetensors");
  std::size_t reached = 0;
  auto options = run_->options();
  options.on_gradients = [&] {
    for (const auto& parameter : run_->network.trained) {
      const auto& gradient = parameter.value.grad();
      const auto found = expected.find(parameter.name);
      EXPECT_EQ(gradient.defined(), found != expected.end()) << parameter.name;
      if (!gradient.defined() || found == expected.end()) continue;
      ++reached;
      EXPECT_LE(difference(found->second, gradient), tolerance("grad_norm")) << parameter.name;
    }
  };
  Training training(run_->network, options);
  training.step(0, {run_->batch(run_->recorded["order"][0])}, run_->depths()[0]);
  EXPECT_EQ(reached, expected.size());
}

TEST_P(GoldenTrajectory, TheSameTensorsTrainAndDecay) {
  std::vector<std::string> trained, decayed;  // in the order over which norms are summed
  for (const auto& parameter : run_->network.trained) {
    trained.push_back(parameter.name);
    if (parameter.decay) decayed.push_back(parameter.name);
  }
  EXPECT_EQ(trained, run_->recorded.at("trained").get<std::vector<std::string>>());
  EXPECT_EQ(decayed, run_->recorded.at("decayed").get<std::vector<std::string>>());
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoldenTrajectory);
INSTANTIATE_TEST_SUITE_P(Manifest, GoldenTrajectory, testing::ValuesIn(golden::trajectory_ids()),
                         [](const auto& test) { return golden::test_name(test.param); });

// Those that store their gradients: the tiny models'.
std::vector<std::string> with_first_gradients() {
  auto ids = golden::trajectory_ids();
  std::erase_if(ids, [](const std::string& id) { return id.starts_with("minilm/"); });
  return ids;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoldenFirstGradients);
INSTANTIATE_TEST_SUITE_P(Manifest, GoldenFirstGradients, testing::ValuesIn(with_first_gradients()),
                         [](const auto& test) { return golden::test_name(test.param); });

// The manifest is the whole list: a folder that it leaves out would be checked by nobody.
TEST(GoldenManifest, NamesEveryTrajectoryFolder) {
  REQUIRE_GOLDEN();
  std::size_t folders = 0;
  for (const char* family : {"bert", "roberta", "minilm"}) {
    for (const auto& entry : std::filesystem::directory_iterator(golden::root() / family / "trajectories"))
      folders += entry.is_directory();
  }
  EXPECT_EQ(golden::trajectory_ids().size(), folders);
  EXPECT_EQ(folders, 31U);
}

}  // namespace
}  // namespace fathom::trainer
