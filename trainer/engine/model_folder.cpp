#include "trainer/engine/model_folder.hpp"

#include <map>

#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "trainer/checkpoint/safetensors.hpp"
#include "trainer/engine/errors.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxConfig = 1U << 20;
constexpr const char* kHead = "classifier";  // name of a loaded head; files have no other

// Module index in our head → its key in transformers' model.
std::map<std::int64_t, std::string> head_keys(ModelFamily family) {
  if (family == ModelFamily::bert) return {{1, "classifier."}};
  return {{1, "classifier.dense."}, {4, "classifier.out_proj."}};
}

const char* architecture(ModelFamily family) {
  switch (family) {
    case ModelFamily::bert:
      return "BertForSequenceClassification";
    case ModelFamily::roberta:
      return "RobertaForSequenceClassification";
    case ModelFamily::mpnet:
      return "MPNetForSequenceClassification";
  }
  return "";
}

json read_config(const std::filesystem::path& folder) {
  const auto file = (folder / "config.json").string();
  const auto text = value_or_fail(read_file(file, kMaxConfig), ErrorClass::model);
  auto config = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) throw JobError(ErrorClass::model, file + " is not a JSON object");
  return config;
}

json config_of(const Network& network) {
  json config = read_config(network.origin);
  const auto& head = network.head->config;
  json names = json::object(), ids = json::object();
  for (std::int64_t i = 0; i < head.num_labels; ++i) {
    const auto index = static_cast<std::size_t>(i);
    const auto name = index < head.labels.size() ? head.labels[index] : "LABEL_" + std::to_string(i);
    names[std::to_string(i)] = name;
    ids[name] = i;
  }
  config["architectures"] = {architecture(network.base->config.family)};
  config["id2label"] = names;
  config["label2id"] = ids;
  config["problem_type"] = head.num_labels == 1 ? "regression" : "single_label_classification";
  // The number of labels follows from their names, the type from the weights.
  for (const char* key : {"num_labels", "_num_labels", "_name_or_path"}) config.erase(key);
  for (const char* key : {"dtype", "torch_dtype"}) {
    if (config.contains(key)) config[key] = "float32";
  }
  return config;
}

std::vector<std::string> labels_in(const json& config, const std::filesystem::path& folder) {
  std::vector<std::string> labels;
  const auto names = config.value("id2label", json::object());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto found = names.find(std::to_string(i));
    if (found == names.end() || !found->is_string())
      throw JobError(ErrorClass::model,
                     (folder / "config.json").string() + ": id2label does not name label " + std::to_string(i));
    labels.push_back(found->get<std::string>());
  }
  return labels;
}

void copy_tokenizer(const std::filesystem::path& from, const std::filesystem::path& to) {
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt",
                           "special_tokens_map.json", "added_tokens.json"}) {
    std::error_code error;
    if (!std::filesystem::exists(from / name)) continue;
    std::filesystem::copy_file(from / name, to / name, error);
    if (error) throw JobError(ErrorClass::disk, (to / name).string() + ": " + error.message());
  }
}

}  // namespace

HeadConfig classification_head(ModelFamily family) {
  HeadConfig config;
  if (family == ModelFamily::bert) {
    config.layers = 1;
    config.activation_function.reset();
    config.use_pooler = true;
  }
  return config;
}

void save_model_folder(const std::filesystem::path& folder, const Network& network) {
  NamedTensors tensors;
  for (const auto& parameter : network.base->parameters()) tensors.emplace(parameter.name, parameter.value.detach());
  for (const auto& [index, key] : head_keys(network.base->config.family)) {
    const auto& linear = network.head->linears.at(index);
    tensors.emplace(key + "weight", linear.weight.detach());
    tensors.emplace(key + "bias", linear.bias.detach());
  }
  const auto config = config_of(network).dump(2) + "\n";
  value_or_fail(write_file_atomic((folder / "config.json").string(), config), ErrorClass::disk);
  value_or_fail(write_safetensors(folder / "model.safetensors", tensors), ErrorClass::disk);
  copy_tokenizer(network.origin, folder);
}

bool is_model_folder(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "config.json") && std::filesystem::exists(folder / "model.safetensors");
}

Network load_model_folder(const std::filesystem::path& folder) {
  Network network;
  network.whole = true;
  network.origin = folder;
  network.base = value_or_fail(load_base_model(folder), ErrorClass::model);
  const auto& model = network.base->config;
  HeadConfig config = classification_head(model.family);
  config.labels = labels_in(read_config(folder), folder);
  config.num_labels = static_cast<std::int64_t>(config.labels.size());
  const auto file = value_or_fail(read_safetensors(folder / "model.safetensors"), ErrorClass::model);
  NamedTensors tensors;
  for (const auto& [index, key] : head_keys(model.family)) {
    for (const std::string leaf : {"weight", "bias"}) {
      const auto found = file.tensors.find(key + leaf);
      if (found == file.tensors.end()) continue;  // the strict reader below names what is missing
      tensors.emplace("heads." + std::string(kHead) + "." + std::to_string(index) + "." + leaf, found->second);
    }
  }
  network.head =
      std::make_shared<Head>(value_or_fail(head_from_tensors(kHead, config, model, tensors), ErrorClass::model));
  if (config.use_pooler && !network.base->pooler)
    throw JobError(ErrorClass::model, folder.string() + ": the head needs a pooler, and model.safetensors has none");
  return network;
}

}  // namespace fathom::trainer
