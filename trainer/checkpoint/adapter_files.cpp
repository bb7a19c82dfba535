#include "trainer/checkpoint/adapter_files.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "trainer/adapters/json_keys.hpp"
#include "trainer/checkpoint/config_id.hpp"
#include "trainer/checkpoint/folder.hpp"
#include "trainer/checkpoint/static_head.hpp"

namespace fathom::trainer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr PartFiles kAdapterFiles = {"adapter_config.json", "pytorch_adapter.bin", "adapter.safetensors"};
constexpr PartFiles kHeadFiles = {"head_config.json", "pytorch_model_head.bin", "model_head.safetensors"};
constexpr PartFiles kFusionFiles = {"adapter_fusion_config.json", "pytorch_model_adapter_fusion.bin",
                                    "model_adapter_fusion.safetensors"};

template <class T>
Result<T> located(const fs::path& folder, Result<T> result) {
  if (result) return result;
  return Error{result.error().code, folder.string() + ": " + result.error().message};
}

// The legacy layout of invertible adapters: task adapters of that time name one and do not use it.
void drop_unused_inverse(json& config) {
  config.erase("invertible_adapter");
  config["inv_adapter"] = nullptr;
  config["inv_adapter_reduction_factor"] = nullptr;
}

// Keys of version 1 had one name per kind and place of adapters; keys without the model's prefix are accepted too.
NamedTensors translated(const NamedTensors& tensors, const ModelConfig& model) {
  static constexpr std::array<const char*, 4> kOld = {"attention_text_task_adapters", "attention_text_lang_adapters",
                                                      "layer_text_task_adapters", "layer_text_lang_adapters"};
  NamedTensors out;
  for (const auto& [key, tensor] : tensors) {
    std::string name = key.starts_with("encoder.") ? model.prefix() + key : key;
    for (const std::string old : kOld) {
      if (const auto at = name.find(old); at != std::string::npos) name.replace(at, old.size(), "adapters");
    }
    out.emplace(std::move(name), tensor);
  }
  return out;
}

// Static heads have no name: theirs is that of the adapter they were saved with.
std::string adapter_beside(const fs::path& folder) {
  const auto config = read_json(folder / kAdapterFiles.config);
  const json name = config ? config->value("name", json()) : json();
  return name.is_string() ? name.get<std::string>() : "default";
}

template <class T>
void rename(T& part, const std::string& load_as) {
  if (!load_as.empty()) part.name = load_as;
}

}  // namespace

Status save_adapter(const fs::path& folder, const Adapter& adapter, const ModelConfig& model) {
  json config = describe(model, adapter.name);
  config["config"] = to_json(adapter.config);
  config["config_id"] = config_id(config["config"]);
  return save_part(folder, kAdapterFiles, config, adapter.tensors(model), !adapter.config.ln_before);
}

Result<Adapter> load_adapter(const fs::path& folder, const ModelConfig& model,
                             const std::vector<std::int64_t>& leave_out, const std::string& load_as,
                             WeightFormat format) {
  FATHOM_ASSIGN(json file, read_part_config(folder, kAdapterFiles, model));
  json config = file.value("config", json());
  if (config.is_object() && file.value("type", json()) == "text_task") drop_unused_inverse(config);
  FATHOM_ASSIGN(AdapterConfig read, located(folder, adapter_config_from_json(config, file.contains("version"))));
  read.leave_out.insert(read.leave_out.end(), leave_out.begin(), leave_out.end());
  std::sort(read.leave_out.begin(), read.leave_out.end());
  read.leave_out.erase(std::unique(read.leave_out.begin(), read.leave_out.end()), read.leave_out.end());
  FATHOM_ASSIGN(const NamedTensors tensors, read_part_tensors(folder, kAdapterFiles, format));
  FATHOM_ASSIGN(Adapter adapter, located(folder, adapter_from_tensors(file["name"].get<std::string>(), read, model,
                                                                      translated(tensors, model), !leave_out.empty())));
  rename(adapter, load_as);
  FATHOM_TRY(check_adapter_name(adapter.name));
  return adapter;
}

bool has_head(const fs::path& folder) { return fs::exists(folder / kHeadFiles.config); }

Status save_head(const fs::path& folder, const Head& head, const ModelConfig& model) {
  json config = describe(model, head.name);
  config["config"] = to_json(head.config);
  return save_part(folder, kHeadFiles, config, named(head.parameters()), true);
}

Result<Head> load_head(const fs::path& folder, const ModelConfig& model, const std::string& load_as,
                       WeightFormat format) {
  FATHOM_ASSIGN(json file, read_json(folder / kHeadFiles.config));
  const bool fixed = is_static_head(file, model);
  if (fixed) file = flexible_head(file, load_as.empty() ? adapter_beside(folder) : load_as, model);
  FATHOM_TRY(check_part_config(folder, kHeadFiles, file, model));
  FATHOM_ASSIGN(const HeadConfig config, located(folder, head_config_from_json(file.value("config", json()))));
  FATHOM_ASSIGN(NamedTensors tensors, read_part_tensors(folder, kHeadFiles, format));
  if (fixed) tensors = flexible_tensors(tensors, file["name"].get<std::string>(), model);
  FATHOM_ASSIGN(Head head, located(folder, head_from_tensors(file["name"].get<std::string>(), config, model, tensors)));
  rename(head, load_as);
  return head;
}

Status save_fusion(const fs::path& folder, const Fusion& fusion, const ModelConfig& model) {
  json config = describe(model, fusion.name);
  config["config"] = to_json(fusion.config);
  config["config_id"] = config_id(config["config"]);
  config["adapter_names"] = fusion.adapters;
  return save_part(folder, kFusionFiles, config, named(fusion.parameters(model)), true);
}

Result<Fusion> load_fusion(const fs::path& folder, const ModelConfig& model, WeightFormat format) {
  FATHOM_ASSIGN(const json file, read_part_config(folder, kFusionFiles, model));
  FATHOM_ASSIGN(const FusionConfig config, located(folder, fusion_config_from_json(file.value("config", json()))));
  const auto name = file["name"].get<std::string>();
  std::vector<std::string> adapters;
  if (const auto names = file.find("adapter_names"); names != file.end() && names->is_array()) {
    for (const json& adapter : *names) adapters.push_back(adapter.is_string() ? adapter.get<std::string>() : "");
  } else {
    // Before custom names a fusion was named by its members.
    for (std::size_t from = 0; from <= name.size();) {
      const std::size_t comma = std::min(name.find(',', from), name.size());
      adapters.push_back(name.substr(from, comma - from));
      from = comma + 1;
    }
  }
  FATHOM_ASSIGN(const NamedTensors tensors, read_part_tensors(folder, kFusionFiles, format));
  return located(folder, fusion_from_tensors(name, config, adapters, model, translated(tensors, model)));
}

}  // namespace fathom::trainer
