#include "sweeps/import/draft.hpp"

#include <algorithm>
#include <array>

#include "sweeps/resolve/parameters.hpp"
#include "sweeps/schema/fields.hpp"

namespace fathom::sweeps {
namespace {

std::string lines_of(const std::map<std::string, std::string>& values, const std::string& section) {
  std::string out;
  for (const auto& [full, value] : values) {
    if (full.rfind(section + ".", 0) == 0)
      out += (out.empty() ? "" : ", ") + full.substr(section.size() + 1) + ": " + value;
  }
  return out.empty() ? "" : section + ": {" + out + "}\n";
}

}  // namespace

std::optional<std::string> Draft::parameter(const std::string& theirs) {
  std::string bare = theirs.substr(theirs.rfind('.') == std::string::npos ? 0 : theirs.rfind('.') + 1);
  if (const std::string ours = alias_of(bare); !ours.empty()) bare = ours;
  if (const auto known = find_parameter(bare)) return known->full;
  note("'" + theirs + "' is no setting of an adapter or its training" + hint(theirs, parameter_names()) +
       "; it is left out");
  return std::nullopt;
}

void Draft::objective(const std::string& theirs, bool minimize) {
  constexpr std::array kMetrics = {"matthews", "spearman", "pearson", "f1_macro", "f1_micro", "f1", "mse", "accuracy"};
  goal = minimize ? "minimize" : "maximize";
  for (const char* known : kMetrics) {
    if (theirs.find(known) != std::string::npos) {
      metric = known;
      return;
    }
  }
  if (theirs.find("acc") != std::string::npos) {
    metric = "accuracy";
    return;
  }
  note("metric '" + theirs + "' has no counterpart: each task's own metric is used, and maximized");
  goal = "maximize";
}

Imported Draft::take() const {
  Imported out;
  out.notes = notes_;
  for (const std::string& one : notes_) out.yaml += "# not taken over: " + one + "\n";
  out.yaml += "version: 1\nname: " + name + "\nmodel: {path: models/CHANGE-ME}\n";
  out.yaml += "objective: {metric: " + metric + ", goal: " + goal + "}\ntasks:\n  CHANGE-ME: {path: data/CHANGE-ME}\n";
  out.yaml += lines_of(fixed, "adapter") + lines_of(fixed, "train");
  if (!search.empty()) out.yaml += "search: " + search + "\n";
  if (!sampled.empty()) out.yaml += "parameters:\n";
  for (const auto& [full, value] : sampled) out.yaml += "  " + full.substr(full.find('.') + 1) + ": " + value + "\n";
  std::string list;
  for (const std::string& seed : seeds) list += (list.empty() ? "" : ", ") + seed;
  if (!seeds.empty()) out.yaml += "seeds: [" + list + "]\n";
  for (const std::string& line : root) out.yaml += line + "\n";
  out.yaml += "stages:\n  adapter: {drop: {standard: true}" + (stop.empty() ? "" : ", stop: " + stop) + "}\n";
  return out;
}

Result<Node> document(const std::string& name, const std::string& text) {
  Report report;
  auto node = read_yaml(name, text, report);
  const auto errors = report.take();
  if (!errors.empty()) return Error{Errc::invalid_argument, render(errors.front())};
  if (!node || !node->is_map()) return Error{Errc::invalid_argument, name + ": expected a map of keys"};
  return *std::move(node);
}

std::string text_of(const Node& map, const char* key) {
  const Node* found = map.find(key);
  return found && found->is_scalar() ? found->text : "";
}

std::string list_text(const Node& list) {
  std::string out;
  for (const Node& item : list.items) out += (out.empty() ? "" : ", ") + item.text;
  return "[" + out + "]";
}

std::string number_text(double value) { return number_json(round_digits(value)).dump(); }

}  // namespace fathom::sweeps
