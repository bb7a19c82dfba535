// What the folders of adapters, heads and fusions have in common: a JSON file and the weights in two formats.
#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "common/result.hpp"
#include "trainer/checkpoint/tensors.hpp"
#include "trainer/model/config.hpp"

namespace fathom::trainer {

// Which of a part's two weight files is read. any: the safetensors file if it is there, else the .bin.
enum class WeightFormat { any, bin, safetensors };

struct PartFiles {
  const char* config;
  const char* bin;
  const char* safetensors;
};

// The version that files are written as, and that selects today's meaning of activation names.
inline constexpr const char* kAdaptersVersion = "adapters.1.3.0";

// The top level that all parts share: hidden_size, model_class, model_name, model_type, name, version.
nlohmann::json describe(const ModelConfig& model, const std::string& name);

// Writes weights first and the JSON file last, so that a folder with a config has its weights.
Status save_part(const std::filesystem::path& folder, const PartFiles& files, const nlohmann::json& config,
                 const NamedTensors& tensors, bool with_safetensors);

// The JSON file: an object with a string "name", made for this kind of model (model_type, hidden_size and model_class
// are checked where they stand in it). Errors name the file.
Result<nlohmann::json> read_part_config(const std::filesystem::path& folder, const PartFiles& files,
                                        const ModelConfig& model);
// The same of an object already read from it.
Status check_part_config(const std::filesystem::path& folder, const PartFiles& files, const nlohmann::json& config,
                         const ModelConfig& model);

// The safetensors file if it is there, else the .bin; or the one that `format` names (not_found without it).
Result<NamedTensors> read_part_tensors(const std::filesystem::path& folder, const PartFiles& files,
                                       WeightFormat format = WeightFormat::any);

// Sorted keys, indent 2, as the library writes JSON.
Status write_json(const std::filesystem::path& file, const nlohmann::json& object);
Result<nlohmann::json> read_json(const std::filesystem::path& file);

}  // namespace fathom::trainer
