// Folders as `adapters` 1.3.0 saves and loads them. Writing puts both .bin and safetensors; JSON has sorted keys and
// indent 2. Reading is strict: a missing, left-over or misshapen tensor, or a head or fusion of another model class, is
// one clear error. Files of older versions are translated. Functions may run on any thread; each file is written
// atomically, a folder is not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "trainer/adapters/fusion.hpp"
#include "trainer/adapters/head.hpp"
#include "trainer/adapters/setup.hpp"
#include "trainer/checkpoint/folder.hpp"

namespace fathom::trainer {

// adapter_config.json, pytorch_adapter.bin, adapter.safetensors. With ln_before only the .bin (the library cannot read
// that as safetensors: its norm is registered twice).
Status save_adapter(const std::filesystem::path& folder, const Adapter& adapter, const ModelConfig& model);
// `leave_out`: layers to leave out beside those of the config. `load_as`: new name, empty = the file's.
Result<Adapter> load_adapter(const std::filesystem::path& folder, const ModelConfig& model,
                             const std::vector<std::int64_t>& leave_out = {}, const std::string& load_as = "",
                             WeightFormat format = WeightFormat::any);

// head_config.json, pytorch_model_head.bin, model_head.safetensors. Heads of transformers' own sequence classifiers are
// read as the flexible heads that compute the same; theirs is the name of the adapter beside them, else "default".
Status save_head(const std::filesystem::path& folder, const Head& head, const ModelConfig& model);
Result<Head> load_head(const std::filesystem::path& folder, const ModelConfig& model, const std::string& load_as = "",
                       WeightFormat format = WeightFormat::any);
bool has_head(const std::filesystem::path& folder);  // a head_config.json is there

// adapter_fusion_config.json, pytorch_model_adapter_fusion.bin, model_adapter_fusion.safetensors.
Status save_fusion(const std::filesystem::path& folder, const Fusion& fusion, const ModelConfig& model);
Result<Fusion> load_fusion(const std::filesystem::path& folder, const ModelConfig& model,
                           WeightFormat format = WeightFormat::any);

// A whole setup with its heads: adapter_setup.json, one sub-folder per adapter and fusion (named after it), and one per
// head that is not named like an adapter (whose folder it shares). A pruned fusion is saved in its exportable form.
struct SavedSetup {
  Setup setup;
  std::vector<std::shared_ptr<const Head>> heads;  // in the order of head_setup
};
Status save_setup(const std::filesystem::path& folder, const SavedSetup& saved, const ModelConfig& model);
Result<SavedSetup> load_setup(const std::filesystem::path& folder, const ModelConfig& model);

}  // namespace fathom::trainer
