// Dropout masks depend on what they must and on nothing else; recipes differ where they should.
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>

#include "tests/unit/trainer/golden.hpp"

namespace fathom::trainer {
namespace {

using golden::value;

at::Tensor mask_of(at::IntArrayRef sizes, const DropoutSource& source, std::uint32_t site = 7, double p = 0.1) {
  return dropout(at::ones(sizes), p, source, site);
}

TEST(Dropout, KeepsTheRightShareAndTheMean) {
  const at::Tensor mask = mask_of({64, 50, 384}, {1, 2, 0});
  const double dropped = at::eq(mask, 0).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(dropped, 0.1, 0.001);  // 1.2 million draws: five standard deviations are 0.0014
  EXPECT_NEAR(mask.mean().item<double>(), 1.0, 0.002);
  // Neighbours are independent: both dropped with probability p².
  const at::Tensor gone = at::eq(mask, 0).to(at::kDouble);
  EXPECT_NEAR((gone.narrow(2, 0, 383) * gone.narrow(2, 1, 383)).mean().item<double>(), 0.01, 0.001);
  EXPECT_NEAR((gone.narrow(1, 0, 49) * gone.narrow(1, 1, 49)).mean().item<double>(), 0.01, 0.001);
  EXPECT_NEAR((gone.narrow(0, 0, 63) * gone.narrow(0, 1, 63)).mean().item<double>(), 0.01, 0.001);
}

TEST(Dropout, DependsOnSeedStepAndSiteOnly) {
  const DropoutSource source{3, 5, 0};
  EXPECT_TRUE(mask_of({4, 6, 32}, source).equal(mask_of({4, 6, 32}, source)));
  EXPECT_FALSE(mask_of({4, 6, 32}, source).equal(mask_of({4, 6, 32}, {4, 5, 0})));
  EXPECT_FALSE(mask_of({4, 6, 32}, source).equal(mask_of({4, 6, 32}, {3, 6, 0})));
  EXPECT_FALSE(mask_of({4, 6, 32}, source).equal(mask_of({4, 6, 32}, source, 8)));
}

TEST(Dropout, PaddingAndMicroBatchesDoNotMatter) {
  const DropoutSource source{3, 5, 0};
  const at::Tensor longer = mask_of({4, 9, 32}, source);
  EXPECT_TRUE(longer.narrow(1, 0, 6).equal(mask_of({4, 6, 32}, source)));
  EXPECT_TRUE(longer.narrow(0, 2, 2).equal(mask_of({2, 9, 32}, {3, 5, 2})));
  // Attention probabilities [B, heads, T, T]: a shorter T is a corner of the same mask.
  const at::Tensor square = mask_of({2, 3, 8, 8}, source);
  EXPECT_TRUE(square.narrow(2, 0, 5).narrow(3, 0, 5).equal(mask_of({2, 3, 5, 5}, source)));
}

TEST(Dropout, FloatAndDoubleDrawTheSameMask) {
  const at::Tensor x = at::ones({3, 4, 40});
  const at::Tensor single = dropout(x, 0.25, {9, 9, 0}, 1);
  const at::Tensor twice = dropout(x.to(at::kDouble), 0.25, {9, 9, 0}, 1);
  EXPECT_TRUE(at::eq(single, 0).equal(at::eq(twice, 0)));
}

TEST(Dropout, GradientIsTheMask) {
  const at::Tensor x = at::ones({2, 3, 16}).set_requires_grad(true);
  const at::Tensor y = dropout(x, 0.5, {1, 1, 0}, 3);
  y.sum().backward();
  EXPECT_TRUE(x.grad().equal(y.detach()));
}

// A tiny random BERT with dropout 0.1 and one adapter in every layer.
struct Tiny {
  BaseModel model;
  Setup setup;
  Batch batch;
};

Tiny tiny() {
  Tiny t;
  ModelConfig& c = t.model.config;
  c.hidden = 32, c.layers = 4, c.heads = 4, c.intermediate = 64, c.vocabulary = 100, c.positions = 64,
  c.token_types = 2;
  at::Generator generator = at::detail::createCPUGenerator(11);
  NamedTensors tensors;
  t.model.layers.resize(4);
  for (const Parameter& p : t.model.parameters()) {
    const bool norm = p.name.find("LayerNorm.weight") != std::string::npos;
    std::vector<std::int64_t> shape = {32};
    if (p.name.find("intermediate.dense.bias") != std::string::npos) shape = {64};
    if (p.name.ends_with("weight") && p.name.find("LayerNorm") == std::string::npos) shape = {32, 32};
    if (p.name.find("word_emb") != std::string::npos) shape = {100, 32};
    if (p.name.find("position_emb") != std::string::npos) shape = {64, 32};
    if (p.name.find("token_type") != std::string::npos) shape = {2, 32};
    if (p.name.find("intermediate.dense.weight") != std::string::npos) shape = {64, 32};
    if (p.name.find(".output.dense.weight") != std::string::npos && p.name.find("attention") == std::string::npos) {
      shape = {32, 64};
    }
    tensors[p.name] = norm ? at::ones(shape) : at::ones(shape).normal_(0, 0.3, generator);
  }
  t.model = value(make_base_model(c, tensors));
  const AdapterConfig config = value(adapter_preset("seq_bn[reduction_factor=4]"));
  t.setup = Setup::single(std::make_shared<Adapter>(value(make_adapter("a", config, c, generator))));
  t.batch.input_ids = at::randint(5, 100, {3, 7}, generator, at::kLong);
  t.batch.attention_mask = at::ones({3, 7}, at::kLong);
  return t;
}

TEST(Recipes, FastHasNoDropoutBelowTheLowestAdapter) {
  const Tiny t = tiny();
  const c10::NoGradGuard no_grad;
  const DropoutSource source{1, 1, 0};
  ForwardOptions eval, fast, hf;
  eval.hidden_states = fast.hidden_states = hf.hidden_states = true;
  eval.drop_depth = fast.drop_depth = hf.drop_depth = 2;
  fast.dropout = hf.dropout = &source;
  hf.recipe = Recipe::hf;
  const auto e = forward(t.model, t.batch, t.setup, eval).hidden_states;
  const auto f = forward(t.model, t.batch, t.setup, fast).hidden_states;
  const auto h = forward(t.model, t.batch, t.setup, hf).hidden_states;
  ASSERT_EQ(e.size(), 5u);
  // States 0 to 2 are the embeddings and the outputs of the two layers without adapters; layer 2's feed-forward block
  // ends in the lowest adapter, which has no dropout of its own here.
  for (int i = 0; i <= 3; ++i) EXPECT_TRUE(e[i].equal(f[i])) << i;
  EXPECT_FALSE(e[4].equal(f[4]));
  for (int i = 0; i <= 4; ++i) EXPECT_FALSE(e[i].equal(h[i])) << i;
}

TEST(Recipes, EveryThreadCountGivesTheSameNumbers) {
  const Tiny t = tiny();
  const c10::NoGradGuard no_grad;
  const DropoutSource source{1, 1, 0};
  ForwardOptions options;
  options.dropout = &source;
  at::set_num_threads(1);
  const at::Tensor one = forward(t.model, t.batch, t.setup, options).last_hidden_state;
  at::set_num_threads(2);
  const at::Tensor two = forward(t.model, t.batch, t.setup, options).last_hidden_state;
  at::set_num_threads(1);
  EXPECT_LE(golden::difference(one, two), 1e-6);
}

TEST(Encoder, NoGradientBelowTheLowestAdapter) {
  const Tiny t = tiny();
  ForwardOptions options;
  options.drop_depth = 2;
  forward(t.model, t.batch, t.setup, options).last_hidden_state.sum().backward();
  for (const Parameter& p : t.setup.adapter->parameters(t.model.config)) {
    const bool dropped = p.name.find("layer.0.") != std::string::npos || p.name.find("layer.1.") != std::string::npos;
    EXPECT_EQ(p.value.grad().defined(), !dropped) << p.name;
  }
}

TEST(Encoder, FullFineTuningReachesTheEmbeddings) {
  const Tiny t = tiny();
  const BaseModel own = t.model.clone();
  for (const Parameter& p : own.parameters()) p.value.set_requires_grad(true);
  ForwardOptions options;
  options.base_trainable = true;
  forward(own, t.batch, Setup::none(), options).last_hidden_state.pow(2).sum().backward();
  EXPECT_TRUE(own.word_embeddings.grad().defined());
  EXPECT_FALSE(t.model.word_embeddings.grad().defined());
}

TEST(Encoder, RefusesBatchesThatDoNotFit) {
  Tiny t = tiny();
  t.batch.input_ids = at::ones({1, 65}, at::kLong);
  t.batch.attention_mask = at::ones({1, 65}, at::kLong);
  EXPECT_THROW((void)forward(t.model, t.batch, t.setup), std::invalid_argument);
  t.batch.attention_mask = at::ones({1, 64}, at::kLong);
  EXPECT_THROW((void)forward(t.model, t.batch, t.setup), std::invalid_argument);
}

}  // namespace
}  // namespace fathom::trainer
