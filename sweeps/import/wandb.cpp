// W&B: method, metric, parameters, early_terminate, run_cap.
#include <cmath>

#include "sweeps/import/draft.hpp"
#include "sweeps/schema/values.hpp"

namespace fathom::sweeps {
namespace {

// min and max of a distribution as values: "log_uniform" and its quantised forms state exponents of e.
std::string range_of(Draft& draft, const std::string& name, const Node& node, bool grid) {
  const std::string distribution = text_of(node, "distribution");
  auto low = parse_number(text_of(node, "min"));
  auto high = parse_number(text_of(node, "max"));
  if (!low || !high) {
    draft.note("parameters." + name + ": distribution '" + distribution + "' without min and max");
    return "";
  }
  const bool exponents = distribution == "log_uniform" || distribution == "q_log_uniform";
  if (exponents) {
    low = std::exp(*low), high = std::exp(*high);
    draft.note("parameters." + name + ": the exponents of log_uniform became values");
  }
  if (distribution.rfind("q_", 0) == 0) draft.note("parameters." + name + ": the steps of " + distribution + " (q)");
  if (distribution.rfind("inv_", 0) == 0)
    draft.note("parameters." + name + ": drawn evenly on a log scale, not inversely");
  const bool log = distribution.find("log") != std::string::npos;
  return "{min: " + number_text(*low) + ", max: " + number_text(*high) + (log ? ", scale: log" : "") +
         (grid ? ", samples: 4" : "") + "}";
}

void take_parameter(Draft& draft, const std::string& name, const Node& node, bool grid) {
  if (!node.is_map()) {
    draft.note("parameters." + name + ": expected a map");
    return;
  }
  const Node* values = node.find("values");
  const Node* value = node.find("value");
  if (const Node* nested = node.find("parameters"); nested && nested->is_map()) {
    for (std::size_t i = 0; i < nested->items.size(); ++i)
      take_parameter(draft, name + "." + nested->keys[i].text, nested->items[i], grid);
    return;
  }
  if (name == "seed" && (values || value)) {
    if (value) draft.seeds = {value->text};
    for (const Node& item : values ? values->items : std::vector<Node>{}) draft.seeds.push_back(item.text);
    return;
  }
  const auto full = draft.parameter(name);
  if (!full) return;
  if (node.find("probabilities")) draft.note("parameters." + name + ".probabilities: each value is as likely");
  if (value) {
    draft.fixed[*full] = value->text;
  } else if (values) {
    draft.sampled[*full] = list_text(*values);
  } else if (const std::string range = range_of(draft, name, node, grid); !range.empty()) {
    draft.sampled[*full] = range;
  }
}

void take_stop(Draft& draft, const Node& node) {
  if (text_of(node, "type") != "hyperband") {
    draft.note("early_terminate.type '" + text_of(node, "type") + "'");
    return;
  }
  const std::string eta = text_of(node, "eta").empty() ? "3" : text_of(node, "eta");
  if (!text_of(node, "min_iter").empty()) {
    draft.stop = "{method: asha, eta: " + eta + ", min: " + text_of(node, "min_iter") + "}";
  } else {
    const auto bands = parse_number(text_of(node, "s").empty() ? "2" : text_of(node, "s"));
    if (!bands || *bands < 0 || *bands > 60)
      return draft.note("early_terminate.s '" + text_of(node, "s") + "' is no number of bands");
    draft.stop = "{method: asha, eta: " + eta + ", rungs: " + std::to_string(std::lround(*bands) + 1) + "}";
    draft.note("early_terminate.max_iter: bands are counted down from train.epochs");
  }
  if (!text_of(node, "strict").empty()) draft.note("early_terminate.strict: a rung always keeps floor(n / eta)");
}

}  // namespace

Result<Imported> import_wandb(const std::string& name, const std::string& text) {
  FATHOM_ASSIGN(const Node file, document(name, text));
  Draft draft;
  const std::string method = text_of(file, "method");
  const bool grid = method == "grid" || method.empty();
  if (is_name(text_of(file, "name"), true)) draft.name = text_of(file, "name");
  const std::string cap = text_of(file, "run_cap");
  const std::string sampler = method == "bayes" ? "tpe" : "random";
  if (!grid) draft.search = "{sampler: " + sampler + ", trials: " + (cap.empty() ? "20" : cap) + "}";
  if (!grid && cap.empty())
    draft.note("method " + method + " without run_cap draws until somebody stops it: 20 trials");
  if (method == "bayes")
    draft.note("method bayes: draws by tree-structured Parzen estimators (tpe), not by a Gaussian process");
  for (std::size_t i = 0; i < file.items.size(); ++i) {
    const std::string& key = file.keys[i].text;
    const Node& value = file.items[i];
    if (key == "parameters" && value.is_map()) {
      for (std::size_t p = 0; p < value.items.size(); ++p)
        take_parameter(draft, value.keys[p].text, value.items[p], grid);
    } else if (key == "metric" && value.is_map()) {
      draft.objective(text_of(value, "name"), text_of(value, "goal") != "maximize");
    } else if (key == "early_terminate" && value.is_map()) {
      take_stop(draft, value);
    } else if (key != "method" && key != "name" && key != "run_cap") {
      draft.note("'" + key + "'");
    } else if (key == "run_cap" && grid) {
      draft.note("run_cap: a grid takes every combination");
    }
  }
  return draft.take();
}

}  // namespace fathom::sweeps
