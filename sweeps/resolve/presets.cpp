#include "sweeps/resolve/presets.hpp"

#include <array>
#include <string_view>

namespace fathom::sweeps {
namespace {

using nlohmann::json;

struct Preset {
  std::string_view name;
  std::string_view train, eval;
  std::string_view first, second;  // text columns; second "" = single sentences
  std::string_view label;
  std::string_view labels;  // joined by ' '; "" = a regression
  std::string_view metric;
  bool header = true;
};

constexpr std::array<Preset, 9> kPresets = {{
    {"glue/cola", "train.tsv", "dev.tsv", "4", "", "2", "0 1", "matthews", false},
    {"glue/sst2", "train.tsv", "dev.tsv", "sentence", "", "label", "0 1", "accuracy"},
    {"glue/mrpc", "train.tsv", "dev.tsv", "#1 String", "#2 String", "Quality", "0 1", "accuracy"},
    {"glue/stsb", "train.tsv", "dev.tsv", "sentence1", "sentence2", "score", "", "spearman"},
    {"glue/qqp", "train.tsv", "dev.tsv", "question1", "question2", "is_duplicate", "0 1", "accuracy"},
    {"glue/mnli", "train.tsv", "dev_matched.tsv", "sentence1", "sentence2", "gold_label",
     "contradiction entailment neutral", "accuracy"},
    {"glue/qnli", "train.tsv", "dev.tsv", "question", "sentence", "label", "entailment not_entailment", "accuracy"},
    {"glue/rte", "train.tsv", "dev.tsv", "sentence1", "sentence2", "label", "entailment not_entailment", "accuracy"},
    {"glue/wnli", "train.tsv", "dev.tsv", "sentence1", "sentence2", "label", "0 1", "accuracy"},
}};

json words(std::string_view text) {
  json out = json::array();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    out.push_back(std::string(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

json column(const Preset& preset, std::string_view name) {
  if (preset.header) return std::string(name);
  return std::stoi(std::string(name));  // of the table above: always digits
}

json task_of(const Preset& preset) {
  json text = json::array({column(preset, preset.first)});
  if (!preset.second.empty()) text.push_back(column(preset, preset.second));
  json task = {{"preset", std::string(preset.name)},
               {"train", std::string(preset.train)},
               {"eval", std::string(preset.eval)},
               {"format", "tsv"},
               {"quoting", "none"},
               {"text", text},
               {"label", column(preset, preset.label)},
               {"labels", nullptr},
               {"metric", std::string(preset.metric)}};
  if (!preset.header) task["header"] = false;
  if (preset.labels.empty()) {
    task["regression"] = true;
  } else {
    task["labels"] = words(preset.labels);
  }
  return task;
}

}  // namespace

json preset_task(const std::string& name) {
  for (const Preset& preset : kPresets) {
    if (preset.name == name) return task_of(preset);
  }
  return json::object();
}

}  // namespace fathom::sweeps
