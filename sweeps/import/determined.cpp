// Determined: hyperparameters, searcher, max_restarts, resources.
#include <algorithm>
#include <cmath>
#include <set>

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
  const std::string count = text_of(node, "count");
  if (grid && count.empty()) draft.note("hyperparameters." + name + ": a grid without count, here 4 points (samples)");
  if (!grid && !count.empty()) draft.note("hyperparameters." + name + ".count: only a grid has points");
  return "{min: " + number_text(*low) + ", max: " + number_text(*high) + (log ? ", scale: log" : "") +
         (grid ? ", samples: " + (count.empty() ? "4" : count) : "") + "}";
}

void take_parameter(Draft& draft, const std::string& name, const Node& node, bool grid) {
  if (node.is_map() && !node.find("type")) {  // a group
    for (std::size_t i = 0; i < node.items.size(); ++i)
      take_parameter(draft, name + "." + node.keys[i].text, node.items[i], grid);
    return;
  }
  const auto full = draft.parameter(name);
  if (!full) return;
  const std::string where = "hyperparameters." + name;
  if (!node.is_map()) return draft.fix(*full, name, node);
  if (const Node* val = node.find("val"); val && text_of(node, "type") == "const") {
    draft.fix(*full, name, *val);
    draft.note_rest(where, node, {"type", "val"});
  } else if (const Node* vals = node.find("vals"); vals && text_of(node, "type") == "categorical") {
    draft.sample(*full, name, *vals);
    draft.note_rest(where, node, {"type", "vals"});
  } else if (const std::string range = range_of(draft, name, node, grid); !range.empty()) {
    draft.sampled[*full] = range;
    draft.note_rest(where, node, {"type", "minval", "maxval", "base", "count"});
  }
}

void take_length(Draft& draft, const Node& searcher) {
  const Node* length = searcher.find("max_length");
  const std::string epochs = length && length->is_map() ? text_of(*length, "epochs") : "";
  const std::string unit = text_of(searcher, "time_metric"), most = text_of(searcher, "max_time");
  if (!epochs.empty()) draft.fixed["train.epochs"] = epochs;
  if (length && epochs.empty()) draft.note("searcher.max_length: only epochs have a counterpart; set train.epochs");
  if (unit.empty() && most.empty()) return;
  if (unit.find("epoch") != std::string::npos && !most.empty()) {
    draft.fixed["train.epochs"] = most;
  } else {
    draft.note("searcher.max_time in '" + unit + "': only epochs have a counterpart; set train.epochs");
  }
}

// 1 + the logarithm, rounded down, in whole steps: how many rungs there are between 1 and `most`.
int rungs_below(double most, double divisor) {
  int out = 1;
  for (double reached = divisor; divisor > 1 && reached <= most * (1 + 1e-12); reached *= divisor) ++out;
  return out;
}

struct Brackets {
  int rungs = 1, count = 1;
};

// Listed ones are ours where they are r, r - 1, … without a gap.
std::optional<Brackets> listed_brackets(Draft& draft, const Node& list) {
  std::set<double> rungs;
  for (const Node& item : list.items) rungs.insert(parse_number(item.text).value_or(-1));
  const bool one_each =
      !rungs.empty() && rungs.size() == list.items.size() && *rungs.begin() >= 1 && *rungs.rbegin() <= 60;
  if (one_each && *rungs.rbegin() - *rungs.begin() + 1 == static_cast<double>(rungs.size()))
    return Brackets{static_cast<int>(*rungs.rbegin()), static_cast<int>(rungs.size())};
  draft.note("searcher.bracket_rungs: brackets here have r, r - 1, … rungs, one of each");
  return std::nullopt;
}

// As adaptive_asha makes them: no more rungs than the length and the number of trials have room for. Their modes:
// aggressive 1 bracket, standard the upper half, conservative all.
Brackets brackets_of(Draft& draft, const Node& searcher, double divisor, int most_rungs) {
  if (const Node* list = searcher.find("bracket_rungs"); list && list->is_list() && !list->items.empty()) {
    if (const auto listed = listed_brackets(draft, *list)) return *listed;
  }
  const auto epochs = draft.fixed.find("train.epochs");
  const auto length = epochs == draft.fixed.end() ? std::nullopt : parse_number(epochs->second);
  const auto trials = parse_number(text_of(searcher, "max_trials"));
  int rungs = most_rungs;
  if (length) rungs = std::min(rungs, rungs_below(*length, divisor));
  if (trials) rungs = std::min(rungs, rungs_below(*trials, divisor));
  if (!length) draft.note("searcher: the number of rungs is not bounded by the length, which is not in epochs");
  const std::string mode = text_of(searcher, "mode");
  if (mode == "aggressive") return {rungs, 1};
  return {rungs, mode == "conservative" ? rungs : rungs - (rungs - 1) / 2};
}

void take_stop(Draft& draft, const Node& searcher) {
  const std::string divisor = text_of(searcher, "divisor").empty() ? "4" : text_of(searcher, "divisor");
  const std::string given = text_of(searcher, "num_rungs") + text_of(searcher, "max_rungs");
  const auto number = parse_number(given.empty() ? "5" : given);
  if (!number || *number < 1 || *number > 60)
    return draft.note("searcher: '" + given + "' is no number of rungs; nothing stops");
  Brackets brackets{static_cast<int>(*number), 1};
  if (text_of(searcher, "name").rfind("adaptive", 0) == 0)
    brackets = brackets_of(draft, searcher, parse_number(divisor).value_or(4), brackets.rungs);
  draft.stop = "{method: asha, eta: " + divisor + ", rungs: " + std::to_string(brackets.rungs) +
               (brackets.count > 1 ? ", brackets: " + std::to_string(brackets.count) : "") + "}";
  if (brackets.count > 1 && searcher.find("max_concurrent_trials"))
    draft.note("searcher.max_concurrent_trials: brackets share the slots of the sweep, none has its own");
}

void take_searcher(Draft& draft, const Node& searcher) {
  static const std::set<std::string> kKnown = {"",     "grid",         "single", "random", "adaptive_asha",
                                               "asha", "async_halving"};
  const std::string kind = text_of(searcher, "name");
  const std::string trials = text_of(searcher, "max_trials").empty() ? "16" : text_of(searcher, "max_trials");
  if (kind == "single") {
    if (!draft.sampled.empty()) draft.search = "{sampler: random, trials: 1}";
  } else if (kind == "grid") {
    if (searcher.find("max_trials")) draft.note("searcher.max_trials: a grid takes every combination");
  } else {
    draft.search = "{sampler: random, trials: " + trials + "}";
    if (text_of(searcher, "max_trials").empty()) draft.note("searcher without max_trials: 16 trials");
  }
  if (!kKnown.contains(kind)) draft.note("searcher '" + kind + "': drawn at random instead");
  if (!text_of(searcher, "metric").empty())
    draft.objective(text_of(searcher, "metric"), text_of(searcher, "smaller_is_better") != "false");
  take_length(draft, searcher);
  if (kind.find("asha") != std::string::npos || kind == "async_halving") take_stop(draft, searcher);
  const std::string most = text_of(searcher, "max_concurrent_trials");
  if (!most.empty()) draft.root.push_back("limits: {concurrency: " + most + "}");
  std::vector<std::string_view> taken = {"name",       "metric",   "smaller_is_better", "max_trials",
                                         "max_length", "max_time", "time_metric",       "max_concurrent_trials"};
  if (!draft.stop.empty()) taken.insert(taken.end(), {"divisor", "num_rungs", "max_rungs"});
  if (!draft.stop.empty() && kind.rfind("adaptive", 0) == 0) taken.insert(taken.end(), {"mode", "bracket_rungs"});
  for (const Node& key : searcher.keys) {
    if (std::find(taken.begin(), taken.end(), key.text) == taken.end()) draft.note("searcher." + key.text);
  }
}

// The keys of the file but for the searcher, which needs them all.
void take_key(Draft& draft, const std::string& key, const Node& value, bool grid) {
  if (key == "hyperparameters" && value.is_map()) {
    for (std::size_t p = 0; p < value.items.size(); ++p)
      take_parameter(draft, value.keys[p].text, value.items[p], grid);
  } else if (key == "max_restarts" && value.is_scalar()) {
    draft.root.push_back("retry: {max: " + scalar_text(value) + "}");
  } else if (key == "reproducibility" && value.is_map() && !text_of(value, "experiment_seed").empty()) {
    draft.seeds = {text_of(value, "experiment_seed")};
    draft.note_rest(key, value, {"experiment_seed"});
  } else if (key == "resources" && value.is_map() && !text_of(value, "slots_per_trial").empty()) {
    draft.root.push_back("resources: {ranks: " + text_of(value, "slots_per_trial") + "}");
    draft.note_rest(key, value, {"slots_per_trial"});
  } else if (key == "name") {
    draft.call(value);
  } else {
    draft.note("'" + key + "'");
  }
}

}  // namespace

Result<Imported> import_determined(const std::string& name, const std::string& text) {
  FATHOM_ASSIGN(const Node file, document(name, text));
  Draft draft;
  const Node* searcher = file.find("searcher");
  if (searcher && !searcher->is_map()) searcher = nullptr;
  const bool grid = !searcher || text_of(*searcher, "name") == "grid";
  for (std::size_t i = 0; i < file.items.size(); ++i) {
    if (searcher != &file.items[i]) take_key(draft, file.keys[i].text, file.items[i], grid);
  }
  if (searcher) take_searcher(draft, *searcher);
  return draft.take();
}

}  // namespace fathom::sweeps
