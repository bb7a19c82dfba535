// Means of fusion weights, pruning by them, and the form that `adapters` can load.
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "tests/unit/trainer/golden.hpp"
#include "trainer/adapters/prune.hpp"

namespace fathom::trainer {
namespace {

using golden::value;
using nlohmann::json;
using Kept = std::vector<std::vector<std::string>>;

TEST(AttentionMeans, PadsAreNotCounted) {
  AttentionMeans means;
  at::Tensor weights = at::zeros({1, 2, 2});
  weights.select(1, 0).copy_(at::ones({1, 2}) * 0.5);
  weights.select(1, 1).select(1, 1).fill_(1.0);  // the pad looks at b only
  at::Tensor mask = at::ones({1, 2}, at::kLong);
  mask.select(1, 1).fill_(0);
  means.add({{0, Site::output, "a,b", {"a", "b"}, weights}}, mask);
  ASSERT_EQ(means.rows().size(), 2u);
  EXPECT_DOUBLE_EQ(means.rows()[0].mean_weight, 0.5);
  EXPECT_EQ(means.rows()[0].rank, 1);  // a tie goes to the earlier adapter
  EXPECT_EQ(means.rows()[1].rank, 2);
  AttentionMeans all;
  all.add({{0, Site::output, "a,b", {"a", "b"}, weights}}, {});
  EXPECT_DOUBLE_EQ(all.rows()[1].mean_weight, 0.75);
}

TEST(KeptMembers, ByLayerAndGlobal) {
  const std::vector<AttentionMeans::Row> rows = {{1, Site::output, "a", 0.1, 3}, {1, Site::output, "b", 0.6, 1},
                                                 {1, Site::output, "c", 0.3, 2}, {2, Site::output, "a", 0.7, 1},
                                                 {2, Site::output, "b", 0.1, 3}, {2, Site::output, "c", 0.2, 2}};
  EXPECT_EQ(kept_members(rows, 3, {2}), (Kept{{}, {"b", "c"}, {"a", "c"}}));
  EXPECT_EQ(kept_members(rows, 3, {1}), (Kept{{}, {"b"}, {"a"}}));
  EXPECT_EQ(kept_members(rows, 3, {1, 0, true}), (Kept{{}, {"a"}, {"a"}}));
}

TEST(KeptMembers, ThoseThatReachAThresholdAndAtLeastOne) {
  const std::vector<AttentionMeans::Row> rows = {{0, Site::output, "a", 0.25, 2}, {0, Site::output, "b", 0.5, 1},
                                                 {0, Site::output, "c", 0.25, 3}, {1, Site::output, "a", 0.75, 1},
                                                 {1, Site::output, "b", 0.15, 2}, {1, Site::output, "c", 0.1, 3}};
  EXPECT_EQ(kept_members(rows, 2, {0, 0.25}), (Kept{{"a", "b", "c"}, {"a"}}));  // reaching it is enough
  EXPECT_EQ(kept_members(rows, 2, {0, 0.26}), (Kept{{"b"}, {"a"}}));
  EXPECT_EQ(kept_members(rows, 2, {0, 0.9}), (Kept{{"b"}, {"a"}}));
  EXPECT_EQ(kept_members(rows, 2, {0, 0.3, true}), (Kept{{"a", "b"}, {"a", "b"}}));  // means 0.5, 0.325, 0.175
  // The mean over a layer's two places, not their sum.
  const std::vector<AttentionMeans::Row> two = {{0, Site::attention, "a", 0.2, 2},
                                                {0, Site::attention, "b", 0.8, 1},
                                                {0, Site::output, "a", 0.2, 2},
                                                {0, Site::output, "b", 0.8, 1}};
  EXPECT_EQ(kept_members(two, 1, {0, 0.3}), (Kept{{"b"}}));
}

class Pruning : public testing::Test {
 protected:
  void SetUp() override {
    REQUIRE_GOLDEN();
    at::set_num_threads(1);
    model_ = value(load_base_model(folder_ / "base"));
    batch_ = golden::read_batch(folder_ / "inputs.safetensors");
    const json manifest = golden::read_json(golden::root() / "manifest.json");
    for (const json& entry : manifest.at("forward").at("bert")) {
      if (entry.at("id") == "fuse3") fuse_ = golden::Loader(folder_, *model_).setup(entry.at("setup"));
    }
  }
  at::Tensor run(const fathom::trainer::Setup& setup) {
    const c10::NoGradGuard no_grad;
    return forward(*model_, batch_, setup).last_hidden_state;
  }
  at::Tensor expected(const char* id) {
    return golden::read_tensors(folder_ / "expected" / (std::string(id) + ".safetensors")).at("last_hidden_state");
  }
  const std::filesystem::path folder_ = golden::root() / "bert";
  std::shared_ptr<const BaseModel> model_;
  Batch batch_;
  fathom::trainer::Setup fuse_;
};

TEST_F(Pruning, EqualsTheLibraryWithoutThoseModules) {
  const Kept some = {{"alpha", "delta"}, {"bravo", "delta"}, {"alpha", "bravo", "delta"}, {"bravo", "delta"}};
  EXPECT_LE(golden::difference(run(value(prune_fusion(fuse_, some))), expected("fuse3_pruned")), 2e-5);
  const Kept one = {{"alpha", "bravo", "delta"}, {"alpha", "delta"}, {"delta"}, {"alpha", "bravo", "delta"}};
  EXPECT_LE(golden::difference(run(value(prune_fusion(fuse_, one))), expected("fuse3_pruned_to_one")), 2e-5);
}

TEST_F(Pruning, RefusesUnknownNamesAndEmptyLayers) {
  EXPECT_FALSE(prune_fusion(fuse_, {{"zulu"}}));
  EXPECT_FALSE(prune_fusion(fuse_, {{}, {"alpha"}}));
  EXPECT_FALSE(prune_fusion(fathom::trainer::Setup::single(fuse_.adapters()[0]), {{"alpha"}}));
}

// Whether the last child has a module wherever any child has one.
bool last_is_everywhere(const fathom::trainer::Setup& setup, std::int64_t layers) {
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    if (setup.active(layer, Site::output) && !setup.children.back().active(layer, Site::output)) return false;
  }
  return true;
}

TEST_F(Pruning, ExportReordersWhenOneMemberIsEverywhere) {
  const Kept kept = {{"alpha", "delta"}, {"alpha"}, {"alpha", "bravo"}, {"alpha", "bravo"}};
  const auto pruned = value(prune_fusion(fuse_, kept));
  const ExportedFusion exported = value(exportable_fusion(pruned));
  EXPECT_TRUE(exported.moved.empty());
  EXPECT_TRUE(last_is_everywhere(exported.setup, 4));
  EXPECT_EQ(exported.setup.children.back().adapter->name, "alpha");
  EXPECT_EQ(exported.setup.fusion->name, "bravo,delta,alpha");
  EXPECT_LE(golden::difference(run(pruned), run(exported.setup)), 2e-6);
}

TEST_F(Pruning, ExportMovesModulesWhenNoMemberIsEverywhere) {
  const Kept kept = {{"alpha"}, {"bravo"}, {"alpha"}, {"bravo"}};
  const auto pruned = value(prune_fusion(fuse_, kept));
  const ExportedFusion exported = value(exportable_fusion(pruned));
  EXPECT_TRUE(last_is_everywhere(exported.setup, 4));
  // bravo is the anchor; alpha's modules of layers 0 and 2 stand in it. alpha and delta have none left.
  ASSERT_EQ(exported.moved.size(), 2u);
  EXPECT_EQ(exported.moved[0].from, "alpha");
  EXPECT_EQ(exported.moved[0].into, "bravo");
  EXPECT_EQ(exported.setup.children.size(), 1u);
  EXPECT_TRUE(run(pruned).equal(run(exported.setup)));
}

TEST_F(Pruning, MeansOfARealFusion) {
  const c10::NoGradGuard no_grad;
  ForwardOptions options;
  options.fusion_attention = true;
  AttentionMeans means;
  means.add(forward(*model_, batch_, fuse_, options).fusion_attention, batch_.attention_mask);
  const auto rows = means.rows();
  ASSERT_EQ(rows.size(), 12u);
  for (std::size_t i = 0; i < rows.size(); i += 3) {
    EXPECT_NEAR(rows[i].mean_weight + rows[i + 1].mean_weight + rows[i + 2].mean_weight, 1.0, 1e-6);
    EXPECT_EQ(rows[i].rank + rows[i + 1].rank + rows[i + 2].rank, 6);
  }
  const auto kept = kept_members(rows, 4, {1});
  for (const auto& layer : kept) EXPECT_EQ(layer.size(), 1u);
  EXPECT_TRUE(prune_fusion(fuse_, kept));
}

TEST(Setups, CompositionsAreCheckedUpFront) {
  REQUIRE_GOLDEN();
  const auto folder = golden::root() / "bert";
  const auto model = value(load_base_model(folder / "base"));
  golden::Loader loader(folder, *model);
  const auto single = [&](const char* name) { return fathom::trainer::Setup::single(loader.adapter(name)); };
  EXPECT_FALSE(check_setup(fathom::trainer::Setup::stack({}), model->config));
  auto parallel = fathom::trainer::Setup::stack({single("alpha"), single("bravo")});
  parallel.kind = SetupKind::parallel;
  EXPECT_TRUE(check_setup(parallel, model->config));
  EXPECT_FALSE(check_setup(fathom::trainer::Setup::stack({single("alpha"), parallel}), model->config));
  auto split = parallel;
  split.kind = SetupKind::batch_split;
  EXPECT_FALSE(check_setup(split, model->config)) << "no batch_sizes";
  // Members at different places cannot be fused.
  const auto fuse =
      fathom::trainer::Setup::fuse(std::make_shared<Fusion>(), {loader.adapter("alpha"), loader.adapter("hou1")});
  const Status status = check_setup(fuse, model->config);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("hou1"), std::string::npos);
}

}  // namespace
}  // namespace fathom::trainer
