// Fresh weights equal the library's after torch.manual_seed: the numbers below were printed by `adapters` 1.3.0.
#include <gtest/gtest.h>

#include <ATen/CPUGeneratorImpl.h>

#include "tests/unit/trainer/golden.hpp"

namespace fathom::trainer {
namespace {

using golden::value;

ModelConfig tiny_bert() {
  ModelConfig c;
  c.hidden = 32, c.layers = 4, c.heads = 4, c.intermediate = 64, c.vocabulary = 100, c.positions = 64,
  c.token_types = 2;
  return c;
}

void expect_tensor(const at::Tensor& tensor, double first, double second, double sum) {
  const at::Tensor flat = tensor.detach().view(-1);
  EXPECT_EQ(flat.select(0, 0).item<double>(), first);
  if (flat.numel() > 1) {
    EXPECT_EQ(flat.select(0, 1).item<double>(), second);
  }
  EXPECT_NEAR(flat.to(at::kDouble).sum().item<double>(), sum, 1e-12);
}

// torch.manual_seed(7); add_adapter("a", seq_bn, 4); add_classification_head("a", 3); add_adapter("b", double_seq_bn,
// 8); add_adapter("c", par_bn, 2); add_adapter("d", seq_bn, 4, houlsby, gated); add_adapter_fusion(["a", "d"])
TEST(Initialisation, DrawsInTheLibrarysOrder) {
  const ModelConfig model = tiny_bert();
  at::Generator generator = at::detail::createCPUGenerator(7);
  const auto adapter = [&](const char* name, const char* preset) {
    return value(make_adapter(name, value(adapter_preset(preset)), model, generator));
  };
  const Adapter a = adapter("a", "seq_bn[reduction_factor=4]");
  expect_tensor(a.at(0, Site::output)->down.weight, -0x1.0c88c6p-6, 0x1.a68878p-6, 0.15413598598752287);
  expect_tensor(a.at(3, Site::output)->up.weight, -0x1.ca85a6p-8, 0x1.e6a8f0p-7, -0.6446459115868493);
  HeadConfig config;
  config.num_labels = 3;
  const Head head = value(make_head("a", config, model, generator));
  expect_tensor(head.linears.at(1).weight, 0x1.f6c5a8p-9, -0x1.6b65aep-9, -0.07067280420233146);
  expect_tensor(head.linears.at(4).weight, 0x1.7b2cdcp-9, 0x1.6d9538p-5, 0.3748000107016196);
  const Adapter b = adapter("b", "double_seq_bn[reduction_factor=8]");
  expect_tensor(b.at(1, Site::attention)->up.weight, 0x1.3531d6p-7, 0x1.3821e0p-6, 0.05568016678080312);
  const Adapter c = adapter("c", "par_bn[reduction_factor=2]");
  expect_tensor(c.at(2, Site::output)->down.weight, -0x1.b3bb88p-4, 0x1.975152p-4, -0.20943396585062146);
  expect_tensor(c.at(2, Site::output)->up.weight, 0, 0, 0);
  const Adapter d = adapter("d", "seq_bn[reduction_factor=4, init_weights='houlsby', use_gating=True]");
  expect_tensor(d.at(3, Site::output)->up.weight, 0x1.b90e98p-9, -0x1.666becp-7, -0.20675549708312246);
  expect_tensor(d.at(3, Site::output)->gate->weight, 0x1.f6f9d8p-7, 0x1.cede90p-6, 0.4421826533507556);
  expect_tensor(d.at(3, Site::output)->gate->bias, -0x1.12fd14p-7, 0, -0.008391985669732094);
  const Fusion fusion = value(make_fusion("", FusionConfig{}, {a, d}, model, generator));
  EXPECT_EQ(fusion.name, "a,d");
  expect_tensor(fusion.at(3, Site::output)->key->weight, -0x1.ebe898p-9, 0x1.426bc0p-6, 0.7039654599866481);
  expect_tensor(fusion.at(0, Site::output)->value->weight, 1, 0.000001f, 32 + 992 * static_cast<double>(0.000001f));
}

TEST(Initialisation, SizeOfTheDefaultAdapter) {
  ModelConfig base;
  base.hidden = 768, base.layers = 12, base.heads = 12;
  at::Generator generator = at::detail::createCPUGenerator(1);
  const auto count = [](const Parameters& parameters) {
    std::int64_t sum = 0;
    for (const Parameter& p : parameters) sum += p.value.numel();
    return sum;
  };
  const Adapter adapter = value(make_adapter("a", value(adapter_preset("pfeiffer")), base, generator));
  EXPECT_EQ(count(adapter.parameters(base)), 894528);
  const auto odd = value(make_adapter("a", value(adapter_preset("seq_bn[reduction_factor=1.33]")), base, generator));
  EXPECT_EQ(odd.at(0, Site::output)->down.weight.size(0), 577);
}

TEST(Initialisation, SeedInTheConfigMakesAllLayersEqual) {
  const ModelConfig model = tiny_bert();
  at::Generator generator = at::detail::createCPUGenerator(7);
  const Adapter a = value(make_adapter("a", value(adapter_preset("seq_bn[init_weights_seed=42]")), model, generator));
  EXPECT_TRUE(a.at(0, Site::output)->down.weight.equal(a.at(3, Site::output)->down.weight));
}

TEST(Initialisation, EveryDepthOfASeedStartsAtTheSameNumbers) {
  const ModelConfig model = tiny_bert();
  const auto fresh = [&](const std::string& preset) {
    at::Generator generator = at::detail::createCPUGenerator(7);
    return value(make_adapter("a", value(adapter_preset(preset)), model, generator));
  };
  for (const std::string preset : {"seq_bn", "double_seq_bn", "par_bn"}) {
    const Adapter whole = fresh(preset);
    for (const std::string layers : {"0", "0, 1", "0, 1, 2"}) {
      const Adapter dropped = fresh(preset + "[leave_out=[" + layers + "]]");
      // The library creates no module where one is left out, so the first that there is takes the first numbers.
      std::vector<at::Tensor> all, some;
      for (const auto& parameter : whole.parameters(model)) all.push_back(parameter.value);
      for (const auto& parameter : dropped.parameters(model)) some.push_back(parameter.value);
      ASSERT_LT(some.size(), all.size());
      for (std::size_t i = 0; i < some.size(); ++i) EXPECT_TRUE(some[i].equal(all[i])) << preset << " " << layers;
    }
  }
}

TEST(Initialisation, SharedLayersAreOneModulePerPlace) {
  const ModelConfig model = tiny_bert();
  at::Generator generator = at::detail::createCPUGenerator(7);
  const AdapterConfig config = value(adapter_preset("double_seq_bn[reduction_factor=4, leave_out=[0]]"));
  const Adapter adapter = value(make_adapter("a", config, model, generator, Share::layers));
  EXPECT_EQ(adapter.at(0, Site::output), nullptr);
  EXPECT_TRUE(adapter.at(3, Site::output)->up.weight.is_same(adapter.at(1, Site::output)->up.weight));
  EXPECT_FALSE(adapter.at(1, Site::output)->up.weight.is_same(adapter.at(1, Site::attention)->up.weight));
  // 3 layers of 2 places of 4 tensors in a file; 2 places of them to train.
  EXPECT_EQ(adapter.parameters(model).size(), 24U);
  EXPECT_EQ(each_once(adapter.parameters(model)).size(), 8U);
  // The paper's appendix: 768 wide, rate 16, 73,728 weights without biases.
  ModelConfig base;
  base.hidden = 768, base.layers = 12, base.heads = 12;
  const Adapter paper = value(make_adapter("a", value(adapter_preset("seq_bn")), base, generator, Share::layers));
  std::int64_t count = 0;
  for (const auto& parameter : each_once(paper.parameters(base)))
    if (parameter.value.dim() == 2) count += parameter.value.numel();
  EXPECT_EQ(count, 73728);
  const auto map = value(adapter_preset("seq_bn[reduction_factor={\"default\": 2, \"1\": 4}]"));
  EXPECT_FALSE(make_adapter("a", map, model, generator, Share::layers));
}

TEST(Initialisation, RefusesWhatDoesNotFit) {
  const ModelConfig model = tiny_bert();
  at::Generator generator = at::detail::createCPUGenerator(7);
  const AdapterConfig config = value(adapter_preset("seq_bn"));
  EXPECT_FALSE(make_adapter("a.b", config, model, generator));
  EXPECT_FALSE(make_adapter("", config, model, generator));
  EXPECT_FALSE(make_adapter("a,b", config, model, generator));
  // nn.ModuleDict refuses keys that are its own attributes: the library could not load these.
  EXPECT_FALSE(make_adapter("double", config, model, generator));
  EXPECT_FALSE(make_head("type", HeadConfig{}, model, generator));
  EXPECT_TRUE(make_head("fusion_mr", HeadConfig{}, model, generator));
  const auto outside = make_adapter("a", value(adapter_preset("seq_bn[leave_out=[0, 4]]")), model, generator);
  ASSERT_FALSE(outside);
  EXPECT_NE(outside.error().message.find("layer 4"), std::string::npos) << outside.error().message;
  const auto map = value(adapter_preset("seq_bn[reduction_factor={\"0\": 2}]"));
  EXPECT_FALSE(make_adapter("a", map, model, generator));
}

}  // namespace
}  // namespace fathom::trainer
