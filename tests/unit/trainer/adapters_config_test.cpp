// Reading and writing the configs of adapters, fusions and heads.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/unit/trainer/golden.hpp"
#include "trainer/checkpoint/config_id.hpp"

namespace fathom::trainer {
namespace {

using golden::value;
using nlohmann::json;

TEST(AdapterConfigs, PresetsHave33Keys) {
  for (const char* name : {"seq_bn", "pfeiffer", "double_seq_bn", "houlsby", "par_bn", "scaled_par_bn"}) {
    EXPECT_EQ(to_json(value(adapter_preset(name))).size(), 33u) << name;
  }
  const AdapterConfig seq = value(adapter_preset("seq_bn"));
  EXPECT_TRUE(seq.original_ln_before && seq.output_adapter && !seq.mh_adapter);
  const AdapterConfig par = value(adapter_preset("parallel"));
  EXPECT_TRUE(par.is_parallel);
  EXPECT_EQ(par.scaling, 4.0);
  EXPECT_EQ(value(adapter_preset("scaled_par_bn")).scaling_kind, ScalingKind::learned);
}

TEST(AdapterConfigs, Overrides) {
  const AdapterConfig c = value(adapter_preset("seq_bn[reduction_factor=8, non_linearity=gelu, leave_out=[2, 0]]"));
  EXPECT_EQ(c.reduction_factor.at(3), 8);
  EXPECT_EQ(c.activation, Activation::gelu);
  EXPECT_EQ(c.leave_out, (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(value(adapter_config_from_json(to_json(c))).leave_out, c.leave_out);
  json far = to_json(c);
  for (const json& layer : {json(-1), json(std::uint64_t{1} << 63), json(1.0)}) {
    far["leave_out"] = json::array({layer});
    EXPECT_FALSE(adapter_config_from_json(far)) << layer;
  }
  EXPECT_FALSE(adapter_preset("seq_bn[reduction_factor"));
  EXPECT_FALSE(adapter_preset("lora"));
  EXPECT_FALSE(adapter_preset("seq_bn[reduction_factor=0]"));
  EXPECT_FALSE(adapter_preset("seq_bn[non_linearity=wobble]"));
}

TEST(AdapterConfigs, RequiredKeysAndUnsupportedOptions) {
  const json good = to_json(value(adapter_preset("seq_bn")));
  for (const char* key : {"mh_adapter", "output_adapter", "reduction_factor", "non_linearity"}) {
    json missing = good;
    missing.erase(key);
    const auto result = adapter_config_from_json(missing);
    ASSERT_FALSE(result) << key;
    EXPECT_NE(result.error().message.find(key), std::string::npos);
  }
  const json unsupported = {{"phm_layer", true}, {"inv_adapter", "nice"}, {"stochastic_depth", 0.1}};
  for (const auto& [key, bad] : unsupported.items()) {
    json config = good;
    config[key] = bad;
    const auto result = adapter_config_from_json(config);
    ASSERT_FALSE(result) << key;
    EXPECT_EQ(result.error().code, Errc::unsupported);
  }
}

TEST(AdapterConfigs, OldFilesMeanTheOldActivationNames) {
  json config = to_json(value(adapter_preset("seq_bn")));
  config["non_linearity"] = "gelu";
  EXPECT_EQ(value(adapter_config_from_json(config, true)).activation, Activation::gelu);
  EXPECT_EQ(value(adapter_config_from_json(config, false)).activation, Activation::gelu_tanh);
}

// Values that the library gives, some of them seen in public files.
TEST(ConfigIds, AreTheLibrarys) {
  for (const auto& [preset, id] :
       std::map<std::string, std::string>{{"seq_bn", "9076f36a74755ac4"},
                                          {"double_seq_bn", "b1017368d7a97b11"},
                                          {"par_bn", "211b85d66ae909db"},
                                          {"seq_bn[leave_out=[0, 1, 2, 3, 4]]", "1502df18a3d517e7"},
                                          {"seq_bn[reduction_factor=2]", "e15331acc3f0a5c0"}}) {
    EXPECT_EQ(config_id(to_json(value(adapter_preset(preset)))), id) << preset;
  }
  EXPECT_EQ(config_id(to_json(value(fusion_preset("dynamic")))), "39f0b9fc022449eb");
  EXPECT_EQ(config_id(to_json(value(fusion_preset("static")))), "368b8b00d16e5e95");
  // A float stays a float through reading and writing.
  json config = to_json(value(adapter_preset("seq_bn")));
  config["reduction_factor"] = 16.0;
  const json again = to_json(value(adapter_config_from_json(config)));
  EXPECT_EQ(again.dump(), config.dump());
  EXPECT_EQ(config_id(again), "a8b81f2739c48482");
}

TEST(AdapterConfigs, UnknownKeysAreKept) {
  json config = to_json(value(adapter_preset("seq_bn")));
  config["of_the_future"] = {1, 2};
  EXPECT_EQ(to_json(value(adapter_config_from_json(config))), config);
}

// Every config of the golden data comes back as it was written.
TEST(AdapterConfigs, GoldenConfigsRoundTrip) {
  REQUIRE_GOLDEN();
  int adapters = 0;
  for (const auto& entry : std::filesystem::directory_iterator(golden::root() / "bert" / "adapters")) {
    SCOPED_TRACE(entry.path().string());
    const json config = golden::read_json(entry.path() / "adapter_config.json").at("config");
    EXPECT_EQ(to_json(value(adapter_config_from_json(config))).dump(), config.dump());
    ++adapters;
  }
  EXPECT_GE(adapters, 25);
  for (const auto& entry : std::filesystem::directory_iterator(golden::root() / "bert" / "fusions")) {
    const json config = golden::read_json(entry.path() / "adapter_fusion_config.json").at("config");
    EXPECT_EQ(to_json(value(fusion_config_from_json(config))), config);
  }
  for (const auto& entry : std::filesystem::directory_iterator(golden::root() / "bert" / "heads")) {
    const json config = golden::read_json(entry.path() / "head_config.json").at("config");
    EXPECT_EQ(to_json(value(head_config_from_json(config))), config);
  }
}

TEST(HeadConfigs, LabelsMustBeComplete) {
  json config = to_json(HeadConfig{});
  EXPECT_TRUE(head_config_from_json(config));
  config["label2id"] = {{"yes", 0}, {"no", 0}};
  EXPECT_FALSE(head_config_from_json(config));
  config["label2id"] = {{"yes", 0}};
  EXPECT_FALSE(head_config_from_json(config));
  config["label2id"] = nullptr;
  EXPECT_TRUE(head_config_from_json(config));
  config["head_type"] = "tagging";
  EXPECT_FALSE(head_config_from_json(config));
}

}  // namespace
}  // namespace fathom::trainer
