// AdapterHub folders: what the library saved, read strictly; what we save, equal to it.
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <fstream>

#include <ATen/Parallel.h>
#include <ATen/ops/ones.h>

#include "tests/unit/trainer/golden.hpp"
#include "trainer/checkpoint/adapter_files.hpp"
#include "trainer/checkpoint/config_id.hpp"
#include "trainer/checkpoint/safetensors.hpp"
#include "trainer/checkpoint/torch_file.hpp"

namespace fathom::trainer {
namespace {

using golden::TempFolder;
using golden::value;
using nlohmann::json;
namespace fs = std::filesystem;

std::string slurp(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void expect_equal_tensors(const NamedTensors& a, const NamedTensors& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [key, tensor] : a) {
    ASSERT_TRUE(b.contains(key)) << key;
    EXPECT_TRUE(b.at(key).equal(tensor)) << key;
  }
}

// A config file as the library saves a part alone: without the id that it adds when it saves all parts of a model.
std::string without_id(const fs::path& file) {
  json config = json::parse(slurp(file));
  EXPECT_EQ(config.value("config_id", ""), config_id(config["config"]));
  config.erase("config_id");
  return config.dump(2);
}

class Folders : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    REQUIRE_GOLDEN();
    at::set_num_threads(1);
    config_ = value(read_model_config(folder_ / "base"));
    config_.name = std::string("tiny-") + GetParam();  // the name in the golden files
  }
  const fs::path folder_ = golden::root() / GetParam();
  const TempFolder out_;
  ModelConfig config_;
};

INSTANTIATE_TEST_SUITE_P(Families, Folders, testing::Values("bert", "roberta"),
                         [](const auto& family) { return std::string(family.param); });

// Load and save again: the same JSON byte for byte, the same tensors in both formats.
TEST_P(Folders, AdaptersComeBackAsTheyWere) {
  for (const auto& entry : fs::directory_iterator(folder_ / "adapters")) {
    SCOPED_TRACE(entry.path().filename().string());
    const Adapter adapter = value(load_adapter(entry.path(), config_));
    const fs::path copy = out_.path() / adapter.name;
    ASSERT_TRUE(save_adapter(copy, adapter, config_));
    EXPECT_EQ(without_id(copy / "adapter_config.json"), slurp(entry.path() / "adapter_config.json"));
    const NamedTensors bin = value(read_torch_file(entry.path() / "pytorch_adapter.bin"));
    expect_equal_tensors(bin, value(read_torch_file(copy / "pytorch_adapter.bin")));
    const bool twin = fs::exists(entry.path() / "adapter.safetensors");
    EXPECT_EQ(fs::exists(copy / "adapter.safetensors"), twin);
    if (twin) expect_equal_tensors(bin, golden::read_tensors(copy / "adapter.safetensors"));
  }
}

TEST_P(Folders, HeadsAndFusionsComeBackAsTheyWere) {
  for (const auto& entry : fs::directory_iterator(folder_ / "heads")) {
    SCOPED_TRACE(entry.path().filename().string());
    ASSERT_TRUE(save_head(out_.path() / "head", value(load_head(entry.path(), config_)), config_));
    EXPECT_EQ(slurp(out_.path() / "head/head_config.json"), slurp(entry.path() / "head_config.json"));
    expect_equal_tensors(golden::read_tensors(entry.path() / "model_head.safetensors"),
                         value(read_torch_file(out_.path() / "head/pytorch_model_head.bin")));
  }
  for (const auto& entry : fs::directory_iterator(folder_ / "fusions")) {
    SCOPED_TRACE(entry.path().filename().string());
    ASSERT_TRUE(save_fusion(out_.path() / "fusion", value(load_fusion(entry.path(), config_)), config_));
    EXPECT_EQ(without_id(out_.path() / "fusion/adapter_fusion_config.json"),
              slurp(entry.path() / "adapter_fusion_config.json"));
    expect_equal_tensors(golden::read_tensors(entry.path() / "model_adapter_fusion.safetensors"),
                         value(read_torch_file(out_.path() / "fusion/pytorch_model_adapter_fusion.bin")));
  }
}

// setups/NAME holds what case NAME of the manifest computes.
TEST_P(Folders, SetupsLoadRunAndComeBack) {
  const c10::NoGradGuard no_grad;
  const auto model = value(load_base_model(folder_ / "base"));
  const Batch batch = golden::read_batch(folder_ / "inputs.safetensors");
  for (const auto& [name, id] : std::map<std::string, std::string>{{"stack2", "stack2"},
                                                                   {"fuse3", "fuse3"},
                                                                   {"parallel3", "parallel3_skip0"},
                                                                   {"batchsplit", "batchsplit_skip0"}}) {
    SCOPED_TRACE(name);
    const SavedSetup saved = value(load_setup(folder_ / "setups" / name, config_));
    const at::Tensor want = golden::read_tensors(folder_ / "expected" / (id + ".safetensors")).at("last_hidden_state");
    EXPECT_LE(golden::difference(want, forward(*model, batch, saved.setup).last_hidden_state), 2e-5);
    EXPECT_FALSE(saved.heads.empty());
    ASSERT_TRUE(save_setup(out_.path() / name, saved, config_));
    EXPECT_EQ(json::parse(slurp(out_.path() / name / "adapter_setup.json")),
              json::parse(slurp(folder_ / "setups" / name / "adapter_setup.json")));
    const SavedSetup again = value(load_setup(out_.path() / name, config_));
    EXPECT_LE(golden::difference(want, forward(*model, batch, again.setup).last_hidden_state), 2e-5);
  }
}

TEST_P(Folders, LeaveOutAndNewNameOnLoad) {
  const Adapter adapter = value(load_adapter(folder_ / "adapters" / "bravo", config_, {2, 0}, "other"));
  EXPECT_EQ(adapter.name, "other");
  EXPECT_EQ(adapter.config.leave_out, (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(adapter.at(0, Site::output), nullptr);
  EXPECT_NE(adapter.at(1, Site::output), nullptr);
}

TEST_P(Folders, StrictReading) {
  const auto message = [](const auto& result) { return result ? std::string("loaded") : result.error().message; };
  // A head that the package saved together with another of the same prefix.
  EXPECT_NE(message(load_head(folder_ / "quirks" / "prefix_head", config_)).find("heads.alphabet."), std::string::npos);
  ModelConfig other = config_;
  other.hidden = 64;
  EXPECT_NE(message(load_adapter(folder_ / "adapters" / "alpha", other)).find("hidden_size"), std::string::npos);
  other = config_;
  other.layers = 3;
  EXPECT_NE(message(load_adapter(folder_ / "adapters" / "alpha", other)).find("unexpected"), std::string::npos);
  other.layers = 5;
  EXPECT_NE(message(load_adapter(folder_ / "adapters" / "alpha", other)).find("missing"), std::string::npos);
  other = config_;
  other.family = config_.family == ModelFamily::bert ? ModelFamily::roberta : ModelFamily::bert;
  EXPECT_NE(message(load_adapter(folder_ / "adapters" / "alpha", other)).find("model_type"), std::string::npos);
  // Both sides of the difference in one message: whose file it is can be seen.
  fs::copy(folder_ / "adapters" / "alpha", out_.path() / "renamed");
  json config = json::parse(slurp(out_.path() / "renamed/adapter_config.json"));
  config["name"] = "omega";
  std::ofstream(out_.path() / "renamed/adapter_config.json") << config.dump();
  const auto text = message(load_adapter(out_.path() / "renamed", config_));
  EXPECT_NE(text.find("16 missing tensors: "), std::string::npos) << text;
  EXPECT_NE(text.find("adapters.omega.adapter_down.0.weight"), std::string::npos) << text;
  EXPECT_NE(text.find("16 unexpected tensors: "), std::string::npos) << text;
  EXPECT_NE(text.find("adapters.alpha.adapter_down.0.weight"), std::string::npos) << text;
  EXPECT_NE(message(load_adapter(folder_ / "nothing", config_)).find("adapter_config.json"), std::string::npos);
}

TEST_P(Folders, OldKeysAndPrefixlessFiles) {
  const Adapter adapter = value(load_adapter(folder_ / "adapters" / "hou1", config_));
  NamedTensors old;
  const std::string prefix = config_.prefix();
  for (const auto& [file_key, tensor] : adapter.tensors(config_)) {
    std::string key = file_key;
    const bool attention = key.find("attention.output.adapters") != std::string::npos;
    const auto at = key.find("adapters.");
    key.replace(at, 8, attention ? "attention_text_task_adapters" : "layer_text_task_adapters");
    old[key.substr(prefix.size())] = tensor;
  }
  json config = json::parse(slurp(folder_ / "adapters" / "hou1" / "adapter_config.json"));
  config.erase("version");
  config["type"] = "text_task";
  config["config"]["invertible_adapter"] = {{"block_type", "nice"}};
  fs::create_directories(out_.path() / "old");
  std::ofstream(out_.path() / "old/adapter_config.json") << config.dump();
  ASSERT_TRUE(write_torch_file(out_.path() / "old/pytorch_adapter.bin", old));
  expect_equal_tensors(adapter.tensors(config_), value(load_adapter(out_.path() / "old", config_)).tensors(config_));
}

TEST(BaseModels, OneClearErrorForEachProblem) {
  REQUIRE_GOLDEN();
  const TempFolder out;
  const fs::path good = golden::root() / "bert" / "base";
  const auto message = [&] {
    const auto result = load_base_model(out.path());
    return result ? std::string("loaded") : result.error().message;
  };
  EXPECT_NE(message().find("config.json"), std::string::npos);
  fs::copy(good / "config.json", out.path());
  EXPECT_NE(message().find("model.safetensors"), std::string::npos);
  NamedTensors tensors = golden::read_tensors(good / "model.safetensors");
  ASSERT_TRUE(write_safetensors(out.path() / "model.safetensors", tensors));
  EXPECT_EQ(message(), "loaded");
  tensors["encoder.layer.2.output.dense.bias"] = at::ones({31});
  ASSERT_TRUE(write_safetensors(out.path() / "model.safetensors", tensors));
  EXPECT_NE(message().find("[31]"), std::string::npos) << message();
  tensors.erase("encoder.layer.2.output.dense.bias");
  ASSERT_TRUE(write_safetensors(out.path() / "model.safetensors", tensors));
  EXPECT_NE(message().find("\"encoder.layer.2.output.dense.bias\" is missing"), std::string::npos) << message();
  fs::resize_file(out.path() / "model.safetensors", fs::file_size(out.path() / "model.safetensors") - 10);
  EXPECT_NE(message().find("truncated"), std::string::npos) << message();
  std::ofstream(out.path() / "config.json") << "{\"model_type\": \"gpt2\"}";
  EXPECT_NE(message().find("gpt2"), std::string::npos) << message();
}

TEST(BaseModels, TokenizerMustFit) {
  ModelConfig config;
  config.vocabulary = 100;
  EXPECT_TRUE(check_tokenizer(config, 100));
  const Status status = check_tokenizer(config, 30522);
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find("30522"), std::string::npos);
}

}  // namespace
}  // namespace fathom::trainer
