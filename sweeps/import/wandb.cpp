// W&B: method, metric, parameters, early_terminate, run_cap.
#include <cmath>

#include "sweeps/import/draft.hpp"
#include "sweeps/schema/values.hpp"

namespace fathom::sweeps {
namespace {

// The multiples of q between two ends as a list; "" where q is none or they are too many.
std::string steps_of(double low, double high, const std::string& q) {
  constexpr double kMost = 200;
  const auto step = parse_number(q);
  if (!step || *step <= 0 || (high - low) / *step > kMost) return "";
  std::string out;
  for (double i = std::round(low / *step); i <= std::round(high / *step); ++i)
    out += (out.empty() ? "" : ", ") + number_text(i * *step);
  return "[" + out + "]";
}

// min and max of a distribution as values: "log_uniform" and its quantised forms state exponents of e.
std::string range_of(Draft& draft, const std::string& name, const Node& node, bool grid) {
  const std::string distribution = text_of(node, "distribution");
  auto low = parse_number(text_of(node, "min"));
  auto high = parse_number(text_of(node, "max"));
  if (!low || !high) {
    draft.note("parameters." + name + ": distribution '" + distribution + "' without min and max");
    return "";
  }
  if (distribution == "q_uniform") {
    if (std::string list = steps_of(*low, *high, text_of(node, "q")); !list.empty()) {
      draft.note("parameters." + name + ".q: of the multiples each is as likely, the first and the last too");
      return list;
    }
  }
  const bool exponents = distribution == "log_uniform" || distribution == "q_log_uniform";
  if (exponents) {
    low = std::exp(*low), high = std::exp(*high);
    draft.note("parameters." + name + ": the exponents of log_uniform became values");
  }
  if (distribution.rfind("q_", 0) == 0) draft.note("parameters." + name + ": the steps of " + distribution + " (q)");
  if (distribution.rfind("inv_", 0) == 0)
    draft.note("parameters." + name + ": drawn evenly on a log scale, not inversely");
  if (grid) draft.note("parameters." + name + ": a grid takes points of the range, here 4 (samples)");
  const bool log = distribution.find("log") != std::string::npos;
  return "{min: " + number_text(*low) + ", max: " + number_text(*high) + (log ? ", scale: log" : "") +
         (grid ? ", samples: 4" : "") + "}";
}

void take_seeds(Draft& draft, const Node& node) {
  const Node* value = node.find("value");
  const Node* values = node.find("values");
  if (value) draft.seeds = {scalar_text(*value)};
  for (const Node& item : values ? values->items : std::vector<Node>{}) draft.seeds.push_back(scalar_text(item));
  draft.note_rest("parameters.seed", node, {"value", "values"});
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
    draft.note_rest("parameters." + name, node, {"parameters"});
    return;
  }
  if (name == "seed" && (values || value)) return take_seeds(draft, node);
  const auto full = draft.parameter(name);
  if (!full) return;
  if (node.find("probabilities")) draft.note("parameters." + name + ".probabilities: each value is as likely");
  if (value) {
    draft.fix(*full, name, *value);
    draft.note_rest("parameters." + name, node, {"value", "distribution"});
  } else if (values) {
    draft.sample(*full, name, *values);
    draft.note_rest("parameters." + name, node, {"values", "distribution", "probabilities"});
  } else if (const std::string range = range_of(draft, name, node, grid); !range.empty()) {
    draft.sampled[*full] = range;
    // q: said by range_of(), if it means anything
    draft.note_rest("parameters." + name, node, {"min", "max", "distribution", "q"});
  }
}

// Their iterations are what is logged; here it is epochs. Without train.epochs the longest run is theirs.
void take_length(Draft& draft, const std::string& longest) {
  const auto fixed = draft.fixed.find("train.epochs");
  if (draft.sampled.contains("train.epochs")) {
    draft.note("early_terminate.max_iter: bands are counted down from train.epochs, which is sampled");
  } else if (fixed == draft.fixed.end()) {
    draft.fixed["train.epochs"] = longest;
    draft.note("early_terminate.max_iter: iterations are epochs, so it became train.epochs");
  } else if (fixed->second != longest) {
    draft.note("early_terminate.max_iter: bands are counted down from train.epochs, " + fixed->second + ", not from " +
               longest);
  }
}

void take_stop(Draft& draft, const Node& node) {
  if (text_of(node, "type") != "hyperband") {
    draft.note("early_terminate.type '" + text_of(node, "type") + "'");
    draft.note_rest("early_terminate", node, {"type"});
    return;
  }
  const std::string eta = text_of(node, "eta").empty() ? "3" : text_of(node, "eta");
  const std::string longest = text_of(node, "max_iter");
  if (!text_of(node, "min_iter").empty()) {
    draft.stop = "{method: asha, eta: " + eta + ", min: " + text_of(node, "min_iter") + "}";
    if (!text_of(node, "s").empty()) draft.note("early_terminate.s: bands are counted up from min_iter");
  } else {
    const auto bands = parse_number(text_of(node, "s").empty() ? "2" : text_of(node, "s"));
    if (!bands || *bands < 0 || *bands > 60)
      return draft.note("early_terminate.s '" + text_of(node, "s") + "' is no number of bands");
    draft.stop = "{method: asha, eta: " + eta + ", rungs: " + std::to_string(std::lround(*bands) + 1) + "}";
  }
  if (!longest.empty()) take_length(draft, longest);
  if (!text_of(node, "strict").empty()) draft.note("early_terminate.strict: a rung always keeps floor(n / eta)");
  draft.note_rest("early_terminate", node, {"type", "min_iter", "max_iter", "s", "eta", "strict"});
}

void take_method(Draft& draft, const std::string& method, const std::string& cap) {
  const std::string sampler = method == "bayes" ? "tpe" : "random";
  draft.search = "{sampler: " + sampler + ", trials: " + (cap.empty() ? "20" : cap) + "}";
  if (cap.empty()) draft.note("method " + method + " without run_cap draws until somebody stops it: 20 trials");
  if (method == "bayes")
    draft.note("method bayes: draws by tree-structured Parzen estimators (tpe), not by a Gaussian process");
  if (method != "bayes" && method != "random") draft.note("method '" + method + "': drawn at random instead");
}

}  // namespace

Result<Imported> import_wandb(const std::string& name, const std::string& text) {
  FATHOM_ASSIGN(const Node file, document(name, text));
  Draft draft;
  const std::string method = text_of(file, "method");
  const bool grid = method == "grid" || method.empty();
  if (!grid) take_method(draft, method, text_of(file, "run_cap"));
  const Node* stop = nullptr;
  for (std::size_t i = 0; i < file.items.size(); ++i) {
    const std::string& key = file.keys[i].text;
    const Node& value = file.items[i];
    if (key == "parameters" && value.is_map()) {
      for (std::size_t p = 0; p < value.items.size(); ++p)
        take_parameter(draft, value.keys[p].text, value.items[p], grid);
    } else if (key == "metric" && value.is_map()) {
      draft.objective(text_of(value, "name"), text_of(value, "goal") != "maximize");
      draft.note_rest("metric", value, {"name", "goal"});
    } else if (key == "early_terminate" && value.is_map()) {
      stop = &value;
    } else if (key == "name") {
      draft.call(value);
    } else if (key == "run_cap" && grid) {
      draft.note("run_cap: a grid takes every combination");
    } else if (key != "method" && key != "run_cap") {
      draft.note("'" + key + "'");
    }
  }
  if (stop != nullptr) take_stop(draft, *stop);  // when train.epochs is known
  return draft.take();
}

}  // namespace fathom::sweeps
