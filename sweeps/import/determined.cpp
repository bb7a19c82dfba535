// Determined: hyperparameters, searcher, max_restarts, resources.
#include <algorithm>
#include <cmath>

#include "sweeps/import/draft.hpp"
#include "sweeps/schema/values.hpp"

namespace fathom::sweeps {
namespace {

std::string range_of(Draft& draft, const std::string& name, const Node& node, bool grid) {
  auto low = parse_number(text_of(node, "minval"));
  auto high = parse_number(text_of(node, "maxval"));
  if (!low || !high) {
    draft.note("hyperparameters." + name + ": no minval and maxval");
    return "";
  }
  const bool log = text_of(node, "type") == "log";
  if (log) {  // exponents of the base, 10 unless given
    const double base = parse_number(text_of(node, "base")).value_or(10);
    low = std::pow(base, *low), high = std::pow(base, *high);
  }
  const std::string count = text_of(node, "count").empty() ? "4" : text_of(node, "count");
  return "{min: " + number_text(*low) + ", max: " + number_text(*high) + (log ? ", scale: log" : "") +
         (grid ? ", samples: " + count : "") + "}";
}

void take_parameter(Draft& draft, const std::string& name, const Node& node, bool grid) {
  if (node.is_map() && !node.find("type")) {  // a group
    for (std::size_t i = 0; i < node.items.size(); ++i)
      take_parameter(draft, name + "." + node.keys[i].text, node.items[i], grid);
    return;
  }
  const auto full = draft.parameter(name);
  if (!full) return;
  if (node.is_scalar()) {
    draft.fixed[*full] = node.text;
  } else if (const std::string type = text_of(node, "type"); type == "const") {
    draft.fixed[*full] = text_of(node, "val");
  } else if (const Node* values = node.find("vals"); type == "categorical" && values && values->is_list()) {
    draft.sampled[*full] = list_text(*values);
  } else if (const std::string range = node.is_map() ? range_of(draft, name, node, grid) : ""; !range.empty()) {
    draft.sampled[*full] = range;
  }
}

void take_length(Draft& draft, const Node& searcher) {
  if (const Node* length = searcher.find("max_length"); length && length->is_map()) {
    if (!text_of(*length, "epochs").empty()) {
      draft.fixed["train.epochs"] = text_of(*length, "epochs");
    } else {
      draft.note("searcher.max_length: only epochs have a counterpart; set train.epochs");
    }
    return;
  }
  const std::string unit = text_of(searcher, "time_metric");
  if (unit.find("epoch") != std::string::npos && !text_of(searcher, "max_time").empty()) {
    draft.fixed["train.epochs"] = text_of(searcher, "max_time");
  } else if (!unit.empty() || !text_of(searcher, "max_time").empty()) {
    draft.note("searcher.max_time in '" + unit + "': only epochs have a counterpart; set train.epochs");
  }
}

// Their modes are brackets: aggressive 1, standard the upper half, conservative all.
void take_stop(Draft& draft, const Node& searcher) {
  const std::string divisor = text_of(searcher, "divisor").empty() ? "4" : text_of(searcher, "divisor");
  const std::string given = text_of(searcher, "num_rungs") + text_of(searcher, "max_rungs");
  const std::string rungs = given.empty() ? "5" : given;
  const std::string mode = text_of(searcher, "mode");
  const int count = static_cast<int>(std::clamp(parse_number(rungs).value_or(5), 1.0, 60.0));
  const int brackets = mode == "conservative" ? count : mode == "aggressive" ? 1 : (count + 1) / 2;
  const bool adaptive = text_of(searcher, "name") == "adaptive_asha";
  draft.stop = "{method: asha, eta: " + divisor + ", rungs: " + rungs +
               (adaptive && brackets > 1 ? ", brackets: " + std::to_string(brackets) : "") + "}";
}

void take_searcher(Draft& draft, const Node& searcher) {
  const std::string kind = text_of(searcher, "name");
  const std::string trials = text_of(searcher, "max_trials").empty() ? "16" : text_of(searcher, "max_trials");
  if (kind != "grid" && kind != "single") draft.search = "{sampler: random, trials: " + trials + "}";
  if (kind.find("asha") != std::string::npos || kind == "async_halving") take_stop(draft, searcher);
  if (kind == "custom") draft.note("searcher custom: drawn at random instead");
  const bool minimize = text_of(searcher, "smaller_is_better") != "false";
  if (!text_of(searcher, "metric").empty()) draft.objective(text_of(searcher, "metric"), minimize);
  take_length(draft, searcher);
  const std::string most = text_of(searcher, "max_concurrent_trials");
  if (!most.empty()) draft.root.push_back("limits: {concurrency: " + most + "}");
  for (const char* other : {"source_trial_id", "source_checkpoint_uuid", "stop_once"}) {
    if (searcher.find(other)) draft.note(std::string("searcher.") + other);
  }
}

}  // namespace

Result<Imported> import_determined(const std::string& name, const std::string& text) {
  FATHOM_ASSIGN(const Node file, document(name, text));
  Draft draft;
  if (is_name(text_of(file, "name"), true)) draft.name = text_of(file, "name");
  const Node* searcher = file.find("searcher");
  const bool grid = !searcher || text_of(*searcher, "name") == "grid";
  for (std::size_t i = 0; i < file.items.size(); ++i) {
    const std::string& key = file.keys[i].text;
    const Node& value = file.items[i];
    if (key == "hyperparameters" && value.is_map()) {
      for (std::size_t p = 0; p < value.items.size(); ++p)
        take_parameter(draft, value.keys[p].text, value.items[p], grid);
    } else if (key == "searcher" && value.is_map()) {
      take_searcher(draft, value);
    } else if (key == "max_restarts") {
      draft.root.push_back("retry: {max: " + value.text + "}");
    } else if (key == "reproducibility" && value.is_map() && !text_of(value, "experiment_seed").empty()) {
      draft.seeds = {text_of(value, "experiment_seed")};
    } else if (key == "resources" && !text_of(value, "slots_per_trial").empty()) {
      draft.root.push_back("resources: {ranks: " + text_of(value, "slots_per_trial") + "}");
    } else if (key != "name") {
      draft.note("'" + key + "'");
    }
  }
  return draft.take();
}

}  // namespace fathom::sweeps
