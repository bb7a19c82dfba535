#include "trainer/checkpoint/static_head.hpp"

#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace fathom::trainer {
namespace {

using nlohmann::json;

std::string static_class(const ModelConfig& model) {
  const std::string today = model.model_class();
  return today.substr(0, today.size() - std::string("AdapterModel").size()) + "ForSequenceClassification";
}

// Start of a key → start in a flexible head. BERT: one linear on the pooler's output. RoBERTa (and MPNet): two, with
// tanh between them, on the first token.
std::vector<std::pair<std::string, std::string>> renamed(const std::string& name, const ModelConfig& model) {
  const std::string head = "heads." + name + ".";
  if (model.family == ModelFamily::bert) return {{"classifier.", head + "1."}};
  return {{"classifier.dense.", head + "1."}, {"classifier.out_proj.", head + "4."}};
}

}  // namespace

bool is_static_head(const json& file, const ModelConfig& model) {
  return file.value("config", json()).is_null() && file.value("model_class", json()) == static_class(model);
}

json flexible_head(const json& file, const std::string& name, const ModelConfig& model) {
  const bool one = model.family == ModelFamily::bert;
  json config = {{"head_type", "classification"},
                 {"layers", one ? 1 : 2},
                 {"activation_function", one ? json() : json("tanh")},
                 {"use_pooler", one},
                 {"label2id", file.value("label2id", json())}};
  const json labels = file.value("num_labels", json());
  config["num_labels"] = labels.is_null() && config["label2id"].is_object() ? json(config["label2id"].size()) : labels;
  json out = file;
  out["name"] = name;
  out["model_class"] = model.model_class();
  out["config"] = std::move(config);
  return out;
}

NamedTensors flexible_tensors(const NamedTensors& tensors, const std::string& name, const ModelConfig& model) {
  NamedTensors out;
  for (const auto& [key, tensor] : tensors) {
    std::string known = key;
    for (const auto& [from, to] : renamed(name, model)) {
      if (key.starts_with(from)) known = to + key.substr(from.size());
    }
    out.emplace(std::move(known), tensor);
  }
  return out;
}

}  // namespace fathom::trainer
