#include "sweeps/import/draft.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "sweeps/resolve/parameters.hpp"
#include "sweeps/schema/fields.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::sweeps {
namespace {

// One line, whatever the other file had in its names.
std::string comment(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20; }, ' ');
  return "# " + text + "\n";
}

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
  if (const auto known = find_parameter(bare)) {
    const auto [other, first] = theirs_.emplace(known->full, theirs);
    if (first) return known->full;
    note("'" + theirs + "': '" + other->second + "' is " + known->full + " already");
    return std::nullopt;
  }
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

void Draft::note_rest(const std::string& where, const Node& map, std::initializer_list<std::string_view> taken) {
  for (const Node& key : map.keys) {
    if (std::find(taken.begin(), taken.end(), key.text) == taken.end()) note(where + "." + key.text);
  }
}

void Draft::fix(const std::string& full, const std::string& theirs, const Node& value) {
  if (!value.is_scalar()) return note("'" + theirs + "': expected one value, found " + describe(value));
  fixed[full] = scalar_text(value);
}

void Draft::sample(const std::string& full, const std::string& theirs, const Node& values) {
  if (!values.is_list()) return note("'" + theirs + "': expected a list of values, found " + describe(values));
  std::string list;
  for (const Node& item : values.items) {
    if (item.is_scalar()) {
      list += (list.empty() ? "" : ", ") + scalar_text(item);
    } else {
      note("'" + theirs + "': a value that is " + describe(item));
    }
  }
  sampled[full] = "[" + list + "]";
}

void Draft::call(const Node& asked) {
  if (asked.is_scalar() && is_name(asked.text, true)) {
    name = asked.text;
  } else {
    note("'name': a sweep's name has letters, digits, '-', '_' and '.' only, at most 64");
  }
}

std::string Draft::body() const {
  std::string out = "version: 1\nname: " + name + "\nmodel: {path: models/CHANGE-ME}\n";
  out += "objective: {metric: " + metric + ", goal: " + goal + "}\ntasks:\n  CHANGE-ME: {path: data/CHANGE-ME}\n";
  out += lines_of(fixed, "adapter") + lines_of(fixed, "train");
  if (!search.empty()) out += "search: " + search + "\n";
  if (!sampled.empty()) out += "parameters:\n";
  for (const auto& [full, value] : sampled) out += "  " + full.substr(full.find('.') + 1) + ": " + value + "\n";
  std::string list;
  for (const std::string& seed : seeds) list += (list.empty() ? "" : ", ") + seed;
  if (!seeds.empty()) out += "seeds: [" + list + "]\n";
  for (const std::string& line : root) out += line + "\n";
  return out + "stages:\n  adapter: {drop: {standard: true}" + (stop.empty() ? "" : ", stop: " + stop) + "}\n";
}

Imported Draft::take() const {
  Imported out;
  out.notes = notes_;
  const std::string file = body();
  for (const Diagnostic& error : parse(file, {}).errors) out.changes.push_back(error.message);
  for (const std::string& one : out.notes) out.yaml += comment("not taken over: " + one);
  for (const std::string& one : out.changes) out.yaml += comment("to be changed: " + one);
  out.yaml += file;
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

std::string scalar_text(const Node& scalar) {
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) || std::string_view("._+-/").find(c) != std::string_view::npos;
  };
  const bool bare = !scalar.text.empty() && std::all_of(scalar.text.begin(), scalar.text.end(), plain);
  return bare ? scalar.text : nlohmann::json(scalar.text).dump();
}

std::string number_text(double value) { return number_json(round_digits(value)).dump(); }

}  // namespace fathom::sweeps
