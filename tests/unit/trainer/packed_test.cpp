// The packed engine against the reference: recorded runs, gradients, masks, depths, and bits.
#include <ATen/Parallel.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "tests/unit/trainer/trajectory.hpp"
#include "trainer/packed/encoder.hpp"
#include "trainer/packed/packed_engine.hpp"

namespace fathom::trainer {
namespace {

using golden::difference;
using packed::PackedEngine;

class PackedTrajectory : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!golden::base_present(GetParam())) GTEST_SKIP() << "the base model of " << GetParam() << " is not here";
    run_ = std::make_unique<golden::Trajectory>(GetParam());
    ASSERT_EQ(engine_.obstacle(run_->network), "");
  }

  PackedEngine engine_;
  std::unique_ptr<golden::Trajectory> run_;
};

TEST_P(PackedTrajectory, FollowsTheLibraryStepByStep) {
  const auto& expected = run_->recorded;
  const auto depths = run_->depths();
  Training training(run_->network, run_->options(), alone(), engine_);
  for (std::size_t step = 0; step < expected.at("loss").size(); ++step) {
    const auto report = training.step(step, {run_->batch(expected["order"][step])}, depths[step]);
    const auto loss = expected["loss"][step].get<double>(), norm = expected["grad_norm"][step].get<double>();
    EXPECT_NEAR(report.loss, loss, 1e-4 * loss) << "step " << step;
    EXPECT_NEAR(report.grad_norm, norm, 1e-4 * norm + 1e-5) << "step " << step;
  }
}

// What a pass leaves in the gradients of a network's tensors; undefined ones stay so.
std::vector<at::Tensor> gradients(Engine& engine, const Network& network, const LabelledBatch& batch,
                                  const ForwardOptions& options, double* loss) {
  clear_gradients(network.trained);
  *loss = engine.learn(network, batch, 0.75, options);
  std::vector<at::Tensor> found;
  for (const auto& parameter : network.trained) {
    const auto& gradient = parameter.value.grad();
    found.push_back(gradient.defined() ? gradient.clone() : gradient);
  }
  clear_gradients(network.trained);
  return found;
}

void expect_equal(const Network& network, const std::vector<at::Tensor>& expected, const std::vector<at::Tensor>& found,
                  double tolerance = 1e-5) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto& name = network.trained[i].name;
    ASSERT_EQ(expected[i].defined(), found[i].defined()) << name;
    if (!expected[i].defined()) continue;
    const double size = at::linalg_vector_norm(expected[i]).item<double>();
    const double gap = at::linalg_vector_norm(expected[i].sub(found[i])).item<double>();
    EXPECT_LE(gap, tolerance * (1 + size)) << name << " of norm " << size;
  }
}

// Masks are functions of the place, so both engines draw the same ones: with dropout on, too, the gradients are equal.
TEST_P(PackedTrajectory, GradientsAreTheReferencesWithAndWithoutDropout) {
  const auto batch = run_->batch(run_->recorded["order"][0]);
  const DropoutSource source{11, 3, 5};
  for (const bool dropout : {false, true}) {
    for (const Recipe recipe : {Recipe::fast, Recipe::hf}) {
      for (const std::int64_t depth : {0, 2}) {
        ForwardOptions options;
        options.dropout = dropout ? &source : nullptr;
        options.recipe = recipe;
        options.drop_depth = depth;
        double expected_loss = 0, loss = 0;
        const auto expected = gradients(reference_engine(), run_->network, batch, options, &expected_loss);
        const auto found = gradients(engine_, run_->network, batch, options, &loss);
        EXPECT_NEAR(expected_loss, loss, 1e-5 * expected_loss) << "depth " << depth << " dropout " << dropout;
        expect_equal(run_->network, expected, found);
      }
    }
  }
}

// Both round the same factors, so what is left is the order of sums, and of it what moves a factor over a rounding
// boundary: 2^-9 of single elements. Without products of bf16 here, the engine leaves this to the reference.
TEST_P(PackedTrajectory, GradientsInBf16AreTheReferences) {
  auto network = run_->network;
  const auto batch = run_->batch(run_->recorded["order"][0]);
  const DropoutSource source{11, 3, 5};
  for (const std::int64_t depth : {0, 2}) {
    ForwardOptions options;
    options.dropout = &source;
    options.drop_depth = depth;
    double exact_loss = 0, expected_loss = 0, loss = 0;
    network.precision = Precision::fp32;
    gradients(engine_, network, batch, options, &exact_loss);
    network.precision = Precision::bf16;
    const auto expected = gradients(reference_engine(), network, batch, options, &expected_loss);
    const auto found = gradients(engine_, network, batch, options, &loss);
    EXPECT_NEAR(expected_loss, loss, 1e-3 * expected_loss);
    EXPECT_NEAR(exact_loss, loss, 2e-2 * exact_loss);
    EXPECT_NE(exact_loss, expected_loss);
    expect_equal(network, expected, found, 1e-2);
  }
}

// The whole run at less precision stays beside the library's.
TEST_P(PackedTrajectory, LossesInBf16StayCloseToTheLibrarys) {
  const auto& expected = run_->recorded;
  run_->network.precision = Precision::bf16;
  const auto depths = run_->depths();
  Training training(run_->network, run_->options(), alone(), engine_);
  for (std::size_t step = 0; step < expected.at("loss").size(); ++step) {
    const auto report = training.step(step, {run_->batch(expected["order"][step])}, depths[step]);
    const auto loss = expected["loss"][step].get<double>();
    EXPECT_NEAR(report.loss, loss, 2e-2 * loss) << "step " << step;
  }
}

TEST_P(PackedTrajectory, LogitsOfAllDepthsAreTheReferences) {
  const auto batch = run_->batch(run_->recorded["order"][1]).input;
  std::vector<Branch> branches;
  for (std::int64_t depth = 0; depth <= run_->network.layers(); ++depth) branches.push_back({&run_->network, depth});
  branches.push_back(branches.front());
  const c10::InferenceMode inference;
  const auto expected = reference_engine().logits(branches, batch), found = engine_.logits(branches, batch);
  ASSERT_EQ(expected.size(), found.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_LE(difference(expected[i], found[i]), 2e-5) << i;
  EXPECT_EQ(difference(found.front(), found.back()), 0);
}

// Neighbours use the same memory in turns: whatever they left there is not read.
TEST_P(PackedTrajectory, BitsDoNotDependOnPassesBefore) {
  const auto batch = run_->batch(run_->recorded["order"][0]), other = run_->batch(run_->recorded["order"][1]);
  const DropoutSource source{11, 3, 0};
  ForwardOptions options;
  options.dropout = &source;
  double loss = 0;
  PackedEngine fresh;
  const auto alone = gradients(fresh, run_->network, batch, options, &loss);
  double ignored = 0;
  options.drop_depth = 1;
  gradients(engine_, run_->network, other, options, &ignored);
  engine_.logits({{&run_->network, 0}, {&run_->network, 2}}, other.input);
  options.drop_depth = 0;
  const auto beside = gradients(engine_, run_->network, batch, options, &ignored);
  EXPECT_EQ(loss, ignored);
  for (std::size_t i = 0; i < alone.size(); ++i)
    EXPECT_TRUE(alone[i].equal(beside[i])) << run_->network.trained[i].name;
}

// The first tokens' rows behind the frozen base, sequence by sequence.
std::vector<float> frozen_rows(const packed::FrozenBase& base, const Batch& batch, int threads) {
  const int before = at::get_num_threads();
  at::set_num_threads(threads);
  packed::Arena arena;
  const packed::Run run{base, arena};
  const auto layout = packed::layout_of(batch, base.config(), 0);
  packed::Encoder encoder(run, *layout, Recipe::fast, /*keep=*/false);
  const float* rows = encoder.run_all(packed::sites_of(Setup::none(), base.config().layers, {}));
  at::set_num_threads(before);
  return {rows, rows + layout->sequences * base.config().hidden};
}

// A sequence's rows do not depend on what is computed beside it, nor on the number of threads, in any bit: what is kept
// of the frozen part and what is computed anew may then be mixed.
TEST_P(PackedTrajectory, FrozenRowsDoNotDependOnTheirNeighbours) {
  const auto batch = run_->batch(run_->recorded["order"][0]).input;
  for (const auto precision : {Precision::fp32, Precision::bf16}) {
    if (packed::products_of(precision).run == nullptr) continue;
    const packed::FrozenBase base(run_->network.base, precision);
    const auto all = frozen_rows(base, batch, 1);
    EXPECT_EQ(all, frozen_rows(base, batch, 2));
    const auto hidden = base.config().hidden;
    for (std::int64_t i = 0; i < batch.input_ids.size(0); ++i) {
      Batch one{batch.input_ids.narrow(0, i, 1), batch.attention_mask.narrow(0, i, 1), {}, nullptr};
      if (batch.token_type_ids.defined()) one.token_type_ids = batch.token_type_ids.narrow(0, i, 1);
      const auto alone = frozen_rows(base, one, 1);
      EXPECT_TRUE(std::equal(alone.begin(), alone.end(), all.begin() + i * hidden)) << "sequence " << i;
    }
  }
}

// What the engine does not cover it hands on: the same bits as the reference, and a reason for the log.
TEST(PackedFallback, LeavesTheRestToTheReference) {
  const std::string id = "bert/head2_scaling";
  if (!golden::base_present(id)) GTEST_SKIP() << "no reference data";
  const golden::Trajectory run(id);
  PackedEngine engine;
  EXPECT_EQ(engine.obstacle(run.network), "an adapter with LayerNorms of its own");
  const auto batch = run.batch(run.recorded["order"][0]);
  double expected_loss = 0, loss = 0;
  const auto expected = gradients(reference_engine(), run.network, batch, {}, &expected_loss);
  const auto found = gradients(engine, run.network, batch, {}, &loss);
  EXPECT_EQ(loss, expected_loss);
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_TRUE(expected[i].equal(found[i]));
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PackedTrajectory);
// All but those that the engine leaves to the reference: adapters with LayerNorms of their own.
std::vector<std::string> covered() {
  auto ids = golden::trajectory_ids();
  std::erase_if(ids, [](const std::string& id) { return id.ends_with("/head2_scaling"); });
  return ids;
}

INSTANTIATE_TEST_SUITE_P(Manifest, PackedTrajectory, testing::ValuesIn(covered()),
                         [](const auto& test) { return golden::test_name(test.param); });

}  // namespace
}  // namespace fathom::trainer
