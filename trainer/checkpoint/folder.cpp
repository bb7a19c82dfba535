#include "trainer/checkpoint/folder.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "trainer/checkpoint/json_text.hpp"
#include "trainer/checkpoint/safetensors.hpp"
#include "trainer/checkpoint/torch_file.hpp"

namespace fathom::trainer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kMaxConfig = 4u << 20;

// "BertModelWithHeads" is what BertAdapterModel was called before.
bool same_class(const std::string& file, const ModelConfig& model) {
  const std::string today = model.model_class();
  const std::string family = today.substr(0, today.size() - std::string("AdapterModel").size());
  return file == today || file == family + "ModelWithHeads";
}

Status check_model(const json& config, const PartFiles& files, const ModelConfig& model) {
  const auto fail = [&](const char* key, const std::string& theirs, const std::string& ours) {
    return Error{Errc::invalid_argument,
                 fmt::format("made for {} {}, but the base model \"{}\" has {}", key, theirs, model.name, ours)};
  };
  if (const json type = config.value("model_type", json()); type.is_string() && type != model.model_type()) {
    return fail("model_type", type.dump(), json(model.model_type()).dump());
  }
  if (const json size = config.value("hidden_size", json()); size.is_number_integer() && size != model.hidden) {
    return fail("hidden_size", size.dump(), std::to_string(model.hidden));
  }
  // Heads are bound to the class; adapters and fusions of a bare BertModel are equally good.
  const bool head = std::string_view(files.config) == "head_config.json";
  if (const json name = config.value("model_class", json()); head && name.is_string()) {
    if (!same_class(name.get<std::string>(), model)) return fail("model_class", name.dump(), model.model_class());
  }
  return success();
}

}  // namespace

json describe(const ModelConfig& model, const std::string& name) {
  return {{"hidden_size", model.hidden},
          {"model_class", model.model_class()},
          {"model_name", model.name},
          {"model_type", model.model_type()},
          {"name", name},
          {"version", kAdaptersVersion}};
}

Status write_json(const fs::path& file, const json& object) { return write_file_atomic(file.string(), object.dump(2)); }

Result<json> read_json(const fs::path& file) {
  FATHOM_ASSIGN(const std::string text, read_file(file.string(), kMaxConfig));
  return parse_json_object(text, file.string());
}

Status save_part(const fs::path& folder, const PartFiles& files, const json& config, const NamedTensors& tensors,
                 bool with_safetensors) {
  FATHOM_TRY(make_folders(folder.string()));
  FATHOM_TRY(write_torch_file(folder / files.bin, tensors));
  if (with_safetensors) FATHOM_TRY(write_safetensors(folder / files.safetensors, tensors));
  return write_json(folder / files.config, config);
}

Result<json> read_part_config(const fs::path& folder, const PartFiles& files, const ModelConfig& model) {
  const fs::path file = folder / files.config;
  FATHOM_ASSIGN(json config, read_json(file));
  FATHOM_TRY(check_part_config(folder, files, config, model));
  return config;
}

Status check_part_config(const fs::path& folder, const PartFiles& files, const json& config, const ModelConfig& model) {
  const fs::path file = folder / files.config;
  if (!config.contains("name") || !config["name"].is_string()) {
    return Error{Errc::corrupt, file.string() + ": \"name\" is missing"};
  }
  const Status status = check_model(config, files, model);
  if (!status) return Error{status.error().code, file.string() + ": " + status.error().message};
  return success();
}

Result<NamedTensors> read_part_tensors(const fs::path& folder, const PartFiles& files, WeightFormat format) {
  if (format != WeightFormat::bin && fs::exists(folder / files.safetensors)) {
    FATHOM_ASSIGN(SafetensorsFile file, read_safetensors(folder / files.safetensors));
    return std::move(file.tensors);
  }
  if (format != WeightFormat::safetensors && fs::exists(folder / files.bin)) return read_torch_file(folder / files.bin);
  if (format != WeightFormat::any) {
    const char* file = format == WeightFormat::bin ? files.bin : files.safetensors;
    return Error{Errc::not_found, fmt::format("{}: {} is not there", folder.string(), file)};
  }
  return Error{Errc::not_found,
               fmt::format("{}: neither {} nor {} is there", folder.string(), files.safetensors, files.bin)};
}

}  // namespace fathom::trainer
