// Compositions in evaluation, the ones that the library cannot do among them: rows without adapter, children of
// different drop depths, fusions beside single adapters. Every child must give what it gives alone.
#include <thread>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/narrow.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randint.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "tests/unit/trainer/engine_fixture.hpp"
#include "tests/unit/trainer/golden.hpp"
#include "trainer/adapters/drop.hpp"

namespace fathom::trainer {
namespace {

using golden::difference;
using golden::value;
using Kind = SetupKind;
using Plan = Setup;  // testing::Test has a Setup of its own

constexpr std::int64_t kRows = 4, kLength = 9;
// Only the sizes of the matrix products differ, and with them the order of sums.
constexpr double kTolerance = 1e-6;

class Compositions : public testing::Test {
 protected:
  Compositions() {
    at::set_num_threads(1);  // of threads that are made later too: the number of threads is part of the rounding
    testing_support::write_tiny_model(folder_.path());
    model_ = value(load_base_model(folder_.path()));
    batch_.input_ids = at::randint(5, 21, {kRows, kLength}, generator_, at::kLong);
    batch_.attention_mask = at::ones({kRows, kLength}, at::kLong);
    // Rows of 9, 6, 4 and 2 tokens.
    for (const auto& [row, length] : std::map<std::int64_t, std::int64_t>{{1, 6}, {2, 4}, {3, 2}}) {
      batch_.attention_mask[row].narrow(0, length, kLength - length).zero_();
      batch_.input_ids[row].narrow(0, length, kLength - length).zero_();
    }
  }

  // An adapter that visibly changes what it touches, without modules in the lowest `dropped` layers.
  Plan adapter(const std::string& name, const std::string& preset, std::int64_t dropped = 0) {
    auto config = value(adapter_preset(preset + "[reduction_factor=2]"));
    for (std::int64_t layer = 0; layer < dropped; ++layer) config.leave_out.push_back(layer);
    auto made = value(make_adapter(name, config, model_->config, generator_));
    for (const Parameter& p : made.parameters(model_->config)) p.value.normal_(0, 0.3, generator_);
    return Plan::single(std::make_shared<Adapter>(std::move(made)));
  }
  Plan fusion(const std::vector<Plan>& members) {
    std::vector<Adapter> adapters;
    std::vector<std::shared_ptr<const Adapter>> shared;
    for (const Plan& member : members) {
      adapters.push_back(*member.adapter);
      shared.push_back(member.adapter);
    }
    const auto config = value(fusion_preset("dynamic"));
    auto made = value(make_fusion("", config, adapters, model_->config, generator_));
    for (const Parameter& p : made.parameters(model_->config)) p.value.normal_(0, 0.3, generator_);
    return Plan::fuse(std::make_shared<Fusion>(std::move(made)), shared);
  }
  static Plan block(Kind kind, std::vector<Plan> children, std::vector<std::int64_t> sizes = {}) {
    Plan plan;
    plan.kind = kind;
    plan.batch_sizes = std::move(sizes);
    if (kind == Kind::average) plan.weights.assign(children.size(), 1.0 / static_cast<double>(children.size()));
    plan.children = std::move(children);
    return plan;
  }

  at::Tensor run(const Plan& plan, const ForwardOptions& options = {}) {
    const Status valid = check_setup(plan, model_->config);
    EXPECT_TRUE(valid) << (valid ? "" : valid.error().message);
    return forward(*model_, batch_, plan, options).last_hidden_state;
  }
  // Child i of a parallel gives the rows of its single run, all different from each other.
  void expect_each_alone(const std::vector<Plan>& children, const ForwardOptions& options = {}) {
    const at::Tensor all = run(block(Kind::parallel, children), options);
    ASSERT_EQ(all.size(0), kRows * static_cast<std::int64_t>(children.size()));
    for (std::size_t i = 0; i < children.size(); ++i) {
      const at::Tensor mine = all.narrow(0, static_cast<std::int64_t>(i) * kRows, kRows);
      EXPECT_LE(difference(mine, run(children[i], options)), kTolerance) << "child " << i;
      if (i == 0) continue;
      EXPECT_GT(difference(mine, all.narrow(0, 0, kRows)), 1e-2) << "child " << i;
    }
  }
  // Rows of a batch split are those of the children's single runs.
  void expect_split(const Plan& split) {
    const at::Tensor all = run(split);
    std::int64_t row = 0;
    for (std::size_t i = 0; i < split.children.size(); ++i) {
      const std::int64_t rows = split.batch_sizes[i];
      EXPECT_LE(difference(all.narrow(0, row, rows), run(split.children[i]).narrow(0, row, rows)), kTolerance) << i;
      row += rows;
    }
  }
  std::string refusal(const Plan& plan) {
    const Status status = check_setup(plan, model_->config);
    return status ? "" : status.error().message;
  }

  const c10::NoGradGuard no_grad_;
  at::Generator generator_ = at::detail::createCPUGenerator(5);
  golden::TempFolder folder_;
  std::shared_ptr<const BaseModel> model_;
  Batch batch_;
};

TEST_F(Compositions, ParallelChildrenOfAllKindsAndDepths) {
  expect_each_alone(
      {adapter("a", "seq_bn"), Plan::none(), adapter("b", "double_seq_bn", 2), adapter("c", "par_bn", 1)});
  // The copies begin where the lowest child begins: in the middle, at the first layer's attention, at its output.
  expect_each_alone({adapter("d", "seq_bn", 3), adapter("e", "seq_bn", 2)});
  expect_each_alone({adapter("f", "double_seq_bn"), adapter("g", "seq_bn", 3)});
  expect_each_alone({Plan::none(), adapter("h", "seq_bn")});
}

// par_bn reads the sub-block's input, which has to be copied with its output where the rows multiply.
TEST_F(Compositions, ParallelAdaptersOfParBnFromTheTilingLayerOn) {
  for (const std::int64_t dropped : {0, 1, 3}) {
    expect_each_alone({adapter("a", "par_bn", dropped), adapter("b", "par_bn", dropped), Plan::none()});
  }
  expect_each_alone({adapter("a", "par_bn", 2), adapter("b", "seq_bn"), adapter("c", "par_bn")});
}

TEST_F(Compositions, SkippingLayersForAll) {
  ForwardOptions options;
  options.drop_depth = 2;
  expect_each_alone({adapter("a", "seq_bn"), Plan::none(), adapter("b", "par_bn", 3)}, options);
}

TEST_F(Compositions, NestedBlocks) {
  const Plan a = adapter("a", "seq_bn"), b = adapter("b", "seq_bn", 2), c = adapter("c", "seq_bn", 1);
  const Plan d = adapter("d", "seq_bn"), none = Plan::none();
  const Plan split = block(Kind::batch_split, {a, none, b}, {1, 2, 1});
  const Plan stack = block(Kind::stack, {a, c});
  const Plan average = block(Kind::average, {a, d});
  const Plan fuse = fusion({a, b, d});
  expect_each_alone({split, stack, average, fuse, none});
  expect_split(split);
  expect_split(block(Kind::batch_split, {fuse, stack, average}, {2, 1, 1}));
  expect_split(
      block(Kind::batch_split, {adapter("p", "par_bn", 1), none, adapter("q", "double_seq_bn", 3)}, {1, 1, 2}));
  // A split inside a split takes its rows from its parent's share.
  const Plan inner = block(Kind::batch_split, {b, none}, {1, 2});
  const at::Tensor nested = run(block(Kind::batch_split, {a, inner}, {1, 3}));
  EXPECT_LE(difference(nested.narrow(0, 0, 1), run(a).narrow(0, 0, 1)), kTolerance);
  EXPECT_LE(difference(nested.narrow(0, 1, 1), run(b).narrow(0, 1, 1)), kTolerance);
  EXPECT_LE(difference(nested.narrow(0, 2, 2), run(none).narrow(0, 2, 2)), kTolerance);
}

TEST_F(Compositions, AStackDropsItsChildrenLayerByLayer) {
  const Plan a = adapter("a", "seq_bn"), b = adapter("b", "seq_bn", 4);
  EXPECT_LE(difference(run(block(Kind::stack, {a, b})), run(a)), 0);
}

TEST_F(Compositions, ADepthOfItsOwnIsADropForAll) {
  for (const Plan& plan :
       {adapter("a", "seq_bn"), adapter("b", "par_bn"), fusion({adapter("c", "seq_bn"), adapter("d", "seq_bn", 1)})}) {
    for (std::int64_t depth = 0; depth <= 5; ++depth) {
      ForwardOptions options;
      options.drop_depth = depth;
      EXPECT_TRUE(run(without_lowest(plan, depth)).equal(run(plan, options))) << depth;
    }
  }
}

// Below the lowest adapter the rows run once, not once for each child.
TEST_F(Compositions, TheTrunkRunsOnce) {
  ForwardOptions options;
  options.hidden_states = true;
  const Plan plan = block(Kind::parallel, {adapter("a", "seq_bn", 3), adapter("b", "seq_bn", 2), Plan::none()});
  const auto states = forward(*model_, batch_, plan, options).hidden_states;
  std::vector<std::int64_t> rows;
  for (const at::Tensor& state : states) rows.push_back(state.size(0));
  EXPECT_EQ(rows, (std::vector<std::int64_t>{kRows, kRows, kRows, 3 * kRows, 3 * kRows}));
}

TEST_F(Compositions, DepthsOfAParallelShareATrunk) {
  const Plan plan = block(Kind::parallel, {adapter("a", "seq_bn"), Plan::none(), adapter("b", "par_bn", 2)});
  const std::vector<std::int64_t> depths = {0, 1, 3};
  const auto results = forward_depths(*model_, batch_, plan, depths);
  for (std::size_t i = 0; i < depths.size(); ++i) {
    ForwardOptions options;
    options.drop_depth = depths[i];
    EXPECT_TRUE(results[i].last_hidden_state.equal(run(plan, options))) << depths[i];
  }
}

TEST_F(Compositions, NestingsWithoutMeaningAreRefused) {
  const Plan a = adapter("a", "seq_bn"), b = adapter("b", "seq_bn", 2), none = Plan::none();
  const Plan parallel = block(Kind::parallel, {a, b}), fuse = fusion({a, b});
  const auto inside = [](const std::string& child, const std::string& parent) {
    return "adapter setup: " + child + " cannot stand inside " + parent;
  };
  EXPECT_EQ(refusal(block(Kind::stack, {a, parallel})), inside("parallel", "stack"));
  EXPECT_EQ(refusal(block(Kind::stack, {a, none})), inside("none", "stack"));
  EXPECT_EQ(refusal(block(Kind::parallel, {a, parallel})), inside("parallel", "parallel"));
  EXPECT_EQ(refusal(block(Kind::average, {a, fuse})), inside("fuse", "average"));
  EXPECT_EQ(refusal(block(Kind::batch_split, {a, parallel}, {2, 2})), inside("parallel", "batch_split"));
  Plan nested = fuse;
  nested.children[0] = fuse;
  EXPECT_EQ(refusal(nested), inside("fuse", "fuse"));
  EXPECT_EQ(
      refusal(block(Kind::average, {a, b})),
      "adapter setup: average: \"b\" has no module in layer 0, output_adapter, where others have one; use adapters "
      "of one place and drop depth");
  EXPECT_EQ(refusal(block(Kind::batch_split, {a, b}, {4, 0})), "adapter setup: batch_split needs a size of each child");
  EXPECT_NE(refusal(block(Kind::stack, {})), "");
  // Sizes are known to fit only when a batch comes.
  EXPECT_THROW(run(block(Kind::batch_split, {a, b}, {1, 2})), std::invalid_argument);
  EXPECT_THROW(run(block(Kind::batch_split, {a, b}, {3, 2})), std::invalid_argument);
}

// The setup is an argument: calls at once on one model, each with another setup, give what they give one after another.
TEST_F(Compositions, CallsAtOnceDoNotSeeEachOther) {
  const Plan a = adapter("a", "seq_bn"), b = adapter("b", "double_seq_bn", 2), c = adapter("c", "par_bn", 1);
  const std::vector<Plan> plans = {a,
                                   b,
                                   c,
                                   Plan::none(),
                                   block(Kind::parallel, {a, b, Plan::none()}),
                                   block(Kind::batch_split, {c, a}, {1, 3}),
                                   fusion({a, adapter("d", "seq_bn", 3)}),
                                   without_lowest(a, 3)};
  std::vector<at::Tensor> alone;
  for (const Plan& plan : plans) alone.push_back(run(plan));
  std::vector<double> worst(plans.size(), 0);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    threads.emplace_back([&, i] {
      const c10::NoGradGuard no_grad;
      for (int call = 0; call < 20; ++call) {
        const at::Tensor got = forward(*model_, batch_, plans[i]).last_hidden_state;
        worst[i] = std::max(worst[i], difference(got, alone[i]));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < plans.size(); ++i) EXPECT_EQ(worst[i], 0) << "setup " << i;
}

}  // namespace
}  // namespace fathom::trainer
