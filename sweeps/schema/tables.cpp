// The schema for people (markdown) and for editors (JSON Schema).
#include <cmath>

#include <nlohmann/json.hpp>

#include "sweeps/schema/fields.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

constexpr Section kOrder[] = {Section::root,
                              Section::model,
                              Section::objective,
                              Section::task,
                              Section::data,
                              Section::adapter,
                              Section::train,
                              Section::parameter,
                              Section::search,
                              Section::stage,
                              Section::drop,
                              Section::stop,
                              Section::needs,
                              Section::subjects,
                              Section::subject_adapter,
                              Section::subject_fusion,
                              Section::subject_parallel,
                              Section::shape,
                              Section::resources,
                              Section::limits,
                              Section::retry,
                              Section::checkpoint,
                              Section::keep,
                              Section::notify,
                              Section::cache};

const char* type_text(Type type) {
  switch (type) {
    case Type::integer:
      return "integer";
    case Type::number:
      return "number";
    case Type::boolean:
      return "true, false";
    case Type::word:
      return "word";
    case Type::text:
      return "text";
    case Type::name:
      return "name";
    case Type::path:
      return "path";
    case Type::duration:
      return "time";
    case Type::integers:
      return "integers";
    case Type::words:
      return "words";
    case Type::texts:
      return "text or list";
    case Type::section:
      return "map";
    case Type::special:
      return "see right";
  }
  return "";
}

// "`fast`, `hf`"; those of a later version in brackets.
std::string words_text(std::string_view words) {
  const std::string wrapped = "|" + std::string(words) + "|";
  std::string out;
  std::string later;
  for (const std::string& word : split_words(words)) {
    std::string& list = wrapped.find("|" + word + "|") == std::string::npos ? later : out;
    list += (list.empty() ? "`" : ", `") + word + "`";
  }
  return later.empty() ? out : out + " (not in this version: " + later + ")";
}

std::string type_cell(const Key& key) {
  if (!key.available) return "not in this version";
  if (*key.words) return std::string(key.type == Type::words ? "list of " : "") + words_text(key.words);
  std::string out = type_text(key.type);
  const bool low = std::isfinite(key.low);
  if (low && std::isfinite(key.high) && key.high < 1e9 && !key.open) {
    return out + (key.low == key.high ? " " + number_json(key.low).dump()
                                      : " " + number_json(key.low).dump() + " to " + number_json(key.high).dump());
  }
  if (low) out += (key.open ? " above " : " from ") + number_json(key.low).dump();
  return out;
}

std::string default_cell(const Key& key) {
  if (key.required) return key.optional == 0 ? "required" : "required but in " + kinds_text(key.optional);
  if (!*key.fallback || std::string_view(key.fallback) == "null") return "absent";
  const json value = json::parse(key.fallback);
  if (value.is_number()) return "`" + number_json(value.get<double>()).dump() + "`";
  return "`" + (value.is_string() ? value.get<std::string>() : value.dump()) + "`";
}

std::string where_cell(Section section, const Key& key) {
  if (section != Section::stage) return info_of(section).where;
  return key.kinds == kAnyKind ? "every stage" : kinds_text(key.kinds);
}

json type_schema(const Key& key);

json section_schema(Section section) {
  json properties = json::object();
  json required = json::array();
  for (const Key& key : keys_of(section)) {
    properties[key.name] = type_schema(key);
    if (key.required && section != Section::stage) required.push_back(key.name);
  }
  json out = {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
  if (!required.empty()) out["required"] = required;
  return out;
}

json words_schema(std::string_view words) {
  const std::string wrapped = "|" + std::string(words) + "|";
  json list = json::array();
  for (const std::string& word : split_words(words)) {
    if (wrapped.find("|" + word + "|") != std::string::npos) list.push_back(word);
  }
  return {{"enum", list}};
}

json number_schema(const Key& key) {
  json out = {{"type", key.type == Type::integer ? "integer" : "number"}};
  if (std::isfinite(key.low)) out[key.open ? "exclusiveMinimum" : "minimum"] = number_json(key.low);
  if (std::isfinite(key.high)) out["maximum"] = number_json(key.high);
  return out;
}

json type_schema(const Key& key) {
  if (!key.available) return false;  // nothing is valid
  json out = json::object();
  if (key.type == Type::word) out = words_schema(key.words);
  if (key.type == Type::words) out = {{"type", json::array({"string", "array"})}, {"items", words_schema(key.words)}};
  if (key.type == Type::integer || key.type == Type::number) out = number_schema(key);
  if (key.type == Type::boolean) out = {{"type", "boolean"}};
  if (key.type == Type::path || key.type == Type::name || key.type == Type::duration) out = {{"type", "string"}};
  if (key.type == Type::section) out = {{"type", "object"}};
  out["description"] = key.doc;
  return out;
}

}  // namespace

std::string key_tables() {
  std::string out;
  for (const Section section : kOrder) {
    const SectionInfo info = info_of(section);
    out += std::string("### ") + (*info.title ? "`" + std::string(info.title) + "`" : "root") + "\n\n";
    out += "| key | type | default | where | in the identity | meaning |\n|---|---|---|---|---|---|\n";
    for (const Key& key : keys_of(section)) {
      out += std::string("| `") + key.name + "` | " + type_cell(key) + " | " + default_cell(key) + " | " +
             where_cell(section, key) + " | " + (key.identity ? "yes" : "no") + " | " + key.doc + " |\n";
    }
    out += "\n";
  }
  return out;
}

json json_schema() {
  json root = section_schema(Section::root);
  json& properties = root["properties"];
  const auto named = [&](const char* key, Section section) { properties[key] = section_schema(section); };
  named("model", Section::model);
  named("objective", Section::objective);
  named("adapter", Section::adapter);
  named("train", Section::train);
  named("search", Section::search);
  named("resources", Section::resources);
  named("limits", Section::limits);
  named("retry", Section::retry);
  named("checkpoint", Section::checkpoint);
  properties["checkpoint"]["properties"]["keep"] = section_schema(Section::keep);
  properties["notify"] = {{"type", "array"}, {"items", section_schema(Section::notify)}};
  properties["cache"] = {{"anyOf", {json{{"type", "boolean"}}, section_schema(Section::cache)}}};
  json task = section_schema(Section::task);
  task["properties"]["train"] = section_schema(Section::train);
  properties["tasks"] = {{"type", "object"}, {"minProperties", 1}, {"additionalProperties", task}};
  json stage = section_schema(Section::stage);
  const auto part = [&](const char* key, Section section) { stage["properties"][key] = section_schema(section); };
  part("train", Section::train);
  part("adapter", Section::adapter);
  part("search", Section::search);
  part("drop", Section::drop);
  part("stop", Section::stop);
  part("needs", Section::needs);
  part("subjects", Section::subjects);
  part("shape", Section::shape);
  json& subjects = stage["properties"]["subjects"]["properties"];
  subjects["adapter"] = section_schema(Section::subject_adapter);
  subjects["fusion"] = section_schema(Section::subject_fusion);
  subjects["parallel"] = section_schema(Section::subject_parallel);
  properties["stages"] = {{"type", "object"}, {"minProperties", 1}, {"additionalProperties", stage}};
  root["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  root["title"] = "Fathom sweep file, version 1";
  // A file that includes another may leave anything to it.
  root.erase("required");
  return root;
}

}  // namespace fathom::sweeps
