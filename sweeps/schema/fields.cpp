#include "sweeps/schema/fields.hpp"

#include <algorithm>
#include <array>

namespace fathom::sweeps {
namespace {

using nlohmann::json;

std::string path_of(Section section, const std::string& key) {
  std::string title = info_of(section).title;
  // The name of the task or stage is on the line that is shown.
  if (const std::size_t name = title.find("NAME"); name != std::string::npos) {
    title = title.substr(std::min(name + 5, title.size()));
  }
  return title.empty() ? key : title + "." + key;
}

// What a section is called where it is no map.
std::string title_of(Section section) {
  if (section == Section::root) return "a sweep file";
  if (section == Section::task) return "a task";
  if (section == Section::stage) return "a stage";
  if (section == Section::parameter) return "a parameter";
  const std::string path = path_of(section, "");
  return path.substr(0, path.size() - 1);
}

// For a key that this section does not have: where it belongs, else the nearest that it has.
std::string place_of(Section here, const std::string& key, const std::vector<std::string>& known) {
  const bool outer = here == Section::root || here == Section::stage || here == Section::task;
  if (!outer) return hint(key, known);
  if (here != Section::root && find_key(Section::root, key)) return "; it belongs at the root of the file";
  const std::string ours = alias_of(key);
  for (const Section section : {Section::train, Section::adapter}) {
    if (here == Section::task && section == Section::adapter) continue;
    if (find_key(section, ours.empty() ? key : ours))
      return std::string("; it belongs in `") + info_of(section).title + "`" + (ours.empty() ? "" : " as " + ours);
  }
  return hint(key, known);
}

// Every default of a section, in the order of its keys; null: none.
std::vector<json> read_defaults(Section section) {
  std::vector<json> out;
  for (const Key& key : keys_of(section)) {
    json& value = out.emplace_back(*key.fallback ? json::parse(key.fallback) : json(nullptr));
    // Whole numbers one way: "0.0" of the table is the integer 0 of a file.
    if (value.is_number()) value = number_json(value.get<double>());
  }
  return out;
}

// Read once: a file of a few lines opens a dozen sections.
const std::vector<json>& default_values(Section section) {
  static const auto all = [] {
    std::array<std::vector<json>, kSectionCount> out;
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = read_defaults(static_cast<Section>(i));
    return out;
  }();
  return all.at(static_cast<std::size_t>(section));
}

std::vector<std::string> names_of(Section section, unsigned kinds) {
  std::vector<std::string> names;
  for (const Key& key : keys_of(section)) {
    if (key.kinds & kinds) names.emplace_back(key.name);
  }
  return names;
}

// npos: the section has no such key.
std::size_t place_in(Section section, std::string_view name) {
  const Key* key = find_key(section, name);
  return key == nullptr ? std::string::npos : static_cast<std::size_t>(key - keys_of(section).data());
}

}  // namespace

const char* setting_name(const Key& key) { return *key.setting ? key.setting : key.name; }

std::string kinds_text(unsigned kinds) {
  std::vector<std::string> names;
  if (kinds & kAdapter) names.emplace_back("adapter");
  if (kinds & kFusion) names.emplace_back("fusion");
  if (kinds & kPrune) names.emplace_back("prune");
  if (kinds & kEvaluate) names.emplace_back("evaluate");
  if (kinds & kFinetune) names.emplace_back("finetune");
  if (kinds & kBenchmark) names.emplace_back("benchmark");
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i)
    out += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  return out;
}

json defaults_of(Section section) {
  json out = json::object();
  const std::vector<json>& values = default_values(section);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!values[i].is_null()) out[setting_name(keys_of(section)[i])] = values[i];
  }
  return out;
}

Fields::Fields(Section section, const Node* node, Report& report, unsigned kinds, bool complete) : section_(section) {
  if (!node) return;
  mark_ = node->mark;
  if (node->type != Node::Type::null && !node->is_map()) {
    report.error(node->mark, title_of(section) + ": expected a map of keys, found " + describe(*node));
    return;
  }
  given_.reserve(node->items.size());
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    const Node& name = node->keys[i];
    if (const Key* key = find_key(section, name.text)) {
      read(*key, name, node->items[i], report, kinds);
    } else {
      report.error(name.mark, "unknown key '" + path_of(section, name.text) + "'" +
                                  place_of(section, name.text, names_of(section, kinds)));
    }
  }
  for (const Key& key : keys_of(section)) {
    if (complete && key.required && (key.kinds & ~key.optional & kinds) && !node->find(key.name)) {
      report.error(mark_, "'" + path_of(section, key.name) + "' is missing (" + key.doc + ")");
    }
  }
}

void Fields::read(const Key& key, const Node& name, const Node& value, Report& report, unsigned kinds) {
  if (!key.available) {
    report.error(name.mark, "'" + path_of(section_, key.name) + "' " + kUnavailable);
    return;
  }
  if (!(key.kinds & kinds)) {
    report.error(name.mark, "'" + std::string(key.name) + "' may stand in " + kinds_text(key.kinds) +
                                " stages, not in this " + kinds_text(kinds) + " stage");
    return;
  }
  if (value.type == Node::Type::null && value.text.empty()) {
    report.error(name.mark, "'" + path_of(section_, key.name) + "' has no value (" + key.doc + ")");
    return;
  }
  Given& given = given_.emplace_back();
  given.place = static_cast<std::size_t>(&key - keys_of(section_).data());
  given.node = &value;
  if (key.type == Type::section || key.type == Type::special) return;
  auto typed_value = typed(key, value, report);
  if (!typed_value) return;
  given.value = *std::move(typed_value);
  given.typed = true;
}

const Fields::Given* Fields::find(std::size_t place) const {
  const auto found = std::ranges::find(given_, place, &Given::place);
  return found == given_.end() ? nullptr : &*found;
}

const Node* Fields::node(std::string_view key) const {
  const Given* given = find(place_in(section_, key));
  return given == nullptr ? nullptr : given->node;
}

const json& Fields::value(std::string_view key) const {
  const std::size_t place = place_in(section_, key);
  const Given* given = find(place);
  return given != nullptr && given->typed ? given->value : default_values(section_).at(place);
}

Mark Fields::mark(std::string_view key) const {
  const Node* found = node(key);
  return found ? found->mark : mark_;
}

json Fields::settings() const {
  json out = json::object();
  for (const Given& given : given_) {
    const Key& key = keys_of(section_)[given.place];
    if (key.type == Type::section || key.type == Type::special) continue;
    const json& value = given.typed ? given.value : default_values(section_)[given.place];
    if (!value.is_null()) out[setting_name(key)] = value;
  }
  return out;
}

}  // namespace fathom::sweeps
