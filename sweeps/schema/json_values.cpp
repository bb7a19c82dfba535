// Values of keys as JSON Schema: what typed() takes (values.cpp).
#include <cmath>

#include "sweeps/schema/json_parts.hpp"
#include "sweeps/schema/values.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

// Words that this version takes; a metric also as its points are named.
json words_of(const Key& key) {
  const std::string wrapped = "|" + std::string(key.words) + "|";
  json list = json::array();
  for (const std::string& word : split_words(key.words)) {
    if (wrapped.find("|" + word + "|") == std::string::npos) continue;
    list.push_back(word);
  }
  if (std::string_view(key.name) == "metric") {
    const std::size_t count = list.size();
    for (std::size_t i = 0; i < count; ++i) list.push_back("eval/" + list[i].get<std::string>());
  }
  return {{"enum", list}};
}

void set_limits(json& out, double low, double high, bool open) {
  if (std::isfinite(low)) out[open ? "exclusiveMinimum" : "minimum"] = number_json(low);
  if (std::isfinite(high)) out["maximum"] = number_json(high);
}

json number_schema(const Key& key) {
  if (key.one_value) return {{"const", number_json(key.low)}};
  json out = {{"type", key.type == Type::integer ? "integer" : "number"}};
  set_limits(out, key.low, key.high, key.open);
  if (key.whole_from_one) out["anyOf"] = json::array({{{"exclusiveMaximum", 1}}, {{"type", "integer"}}});
  return out;
}

// A number is a name, too, where its text is one: a sweep may be called 2024.
json name_schema() {
  return {{"type", {"string", "number", "boolean"}}, {"pattern", "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"}, {"minimum", 0}};
}

}  // namespace

json schema_ref(const std::string& name) { return {{"$ref", "#/$defs/" + name}}; }

json any_of(json alternatives) { return {{"anyOf", std::move(alternatives)}}; }

json list_of(const json& items) { return {{"type", "array"}, {"minItems", 1}, {"items", items}}; }

json one_or_list(const json& value) { return any_of({value, list_of(value)}); }

// Any text of a file, however it looks: the key gives it its type.
json scalar_schema() {
  return {{"type", {"string", "number", "boolean", "null"}}, {"not", {{"pattern", R"(\$\{env:)"}}}};
}

json path_schema() {
  return {{"type", {"string", "number", "boolean"}}, {"pattern", R"(^(?!/)(?!(.*/)?\.\.(/|$))(?!.*\$\{env:)[^\\]+$)"}};
}

json integers_schema(double low, double high, bool unique) {
  json one = {{"type", "integer"}};
  set_limits(one, low, high, false);
  const json range = {{"type", "string"}, {"pattern", low >= 0 ? R"(^\d+\.\.\d+$)" : R"(^-?\d+\.\.-?\d+$)"}};
  const json either = any_of({one, range});
  json list = list_of(either);
  if (unique) list["uniqueItems"] = true;
  return any_of({one, range, list});
}

json value_schema(const Key& key) {
  if (!key.available) return false;  // nothing is valid
  switch (key.type) {
    case Type::integer:
    case Type::number:
      return number_schema(key);
    case Type::boolean:
      return key.one_value ? json{{"const", json::parse(key.fallback)}} : json{{"type", "boolean"}};
    case Type::word:
      return words_of(key);
    case Type::words:
      return one_or_list(words_of(key));
    case Type::text:
      return scalar_schema();
    case Type::texts:
      return one_or_list(scalar_schema());
    case Type::name:
      return name_schema();
    case Type::path:
      return path_schema();
    case Type::duration:
      return {{"type", "string"}, {"pattern", R"(^(\d{1,9}[smhd])+$)"}};
    case Type::integers:  // drops take each depth once, whatever is listed
      return integers_schema(key.low, key.high, std::string_view(key.name) != "specialized");
    case Type::section:
    case Type::special:
      break;
  }
  return json::object();
}

}  // namespace fathom::sweeps
