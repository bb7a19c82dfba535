// The JSON Schema for editors (docs/sweep.schema.json): which keys stand where and what their values look like, and, in
// `rules`, what has to be there. A file that includes another may leave the latter to it.
#include "sweeps/schema/fields.hpp"
#include "sweeps/schema/json_parts.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

struct Part {
  const char* name;  // of the definition
  Section section;
};
// Sections that are maps of their own; a key of type section refers to one of these.
constexpr Part kParts[] = {{"model", Section::model},
                           {"objective", Section::objective},
                           {"task", Section::task},
                           {"data", Section::data},
                           {"adapter", Section::adapter},
                           {"train", Section::train},
                           {"search", Section::search},
                           {"drop", Section::drop},
                           {"stop", Section::stop},
                           {"needs", Section::needs},
                           {"subjects", Section::subjects},
                           {"subjects.adapter", Section::subject_adapter},
                           {"subjects.fusion", Section::subject_fusion},
                           {"subjects.parallel", Section::subject_parallel},
                           {"shape", Section::shape},
                           {"resources", Section::resources},
                           {"limits", Section::limits},
                           {"retry", Section::retry},
                           {"checkpoint", Section::checkpoint},
                           {"keep", Section::keep},
                           {"notify", Section::notify},
                           {"cache", Section::cache}};

// A secret, or a place that answers.
json hook_text(const std::string& name) {
  const std::string reference = R"(^\$\{env:[A-Za-z_][A-Za-z0-9_]{0,127}\}$)";
  return {{"type", "string"},
          {"pattern", name == "secret" ? reference : reference + R"(|^https://[^\s/#?@]+([/?][^\s#]*)?$)"}};
}

json key_schema(Section section, const Key& key) {
  json out;
  if (!key.available) return false;
  if (key.type == Type::section) {
    out = schema_ref((section == Section::subjects ? "subjects." : "") + std::string(key.name));
  } else if (key.type == Type::special) {
    out = grammar_schema(section, key.name);
  } else if (section == Section::notify && key.type == Type::text) {
    out = hook_text(key.name);
  } else {
    out = value_schema(key);
  }
  if (section == Section::task && key.type == Type::texts)
    out["anyOf"][1][std::string_view(key.name) == "text" ? "maxItems" : "minItems"] = 2;
  out["description"] = key.doc;
  return out;
}

json map_schema(Section section) {
  json properties = json::object();
  for (const Key& key : keys_of(section)) properties[key.name] = key_schema(section, key);
  return {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
}

// The keys that a stage of these kinds may have. Each key is written once, as a definition.
json stage_keys(unsigned kinds) {
  json properties = json::object();
  for (const Key& key : keys_of(Section::stage)) {
    if (key.kinds & kinds) properties[key.name] = schema_ref("stage." + std::string(key.name));
  }
  // Fusions and whole models have no adapter whose settings could be sampled.
  if (kinds != kAnyKind && !(kinds & kAdapter) && properties.contains("parameters"))
    properties["parameters"] = schema_ref("parameters-of-train");
  return {{"type", json::array({"object", "null"})}, {"properties", properties}, {"additionalProperties", false}};
}

// By `kind`, where it is given; else by the stage's name, where that is a kind.
json stage_schema(const std::string& otherwise) {
  json out = {{"type", json::array({"object", "null"})}, {"allOf", json::array()}};
  for (const auto& [name, bit] : kKinds) {
    const json is = {
        {"type", "object"}, {"required", json::array({"kind"})}, {"properties", {{"kind", {{"const", name}}}}}};
    out["allOf"].push_back({{"if", is}, {"then", schema_ref("stage-of-" + std::string(name))}});
  }
  const json given = {{"type", "object"}, {"required", json::array({"kind"})}};
  out["allOf"].push_back({{"if", given}, {"else", schema_ref("stage-of-" + otherwise)}});
  out["properties"] = {{"kind", schema_ref("stage.kind")}};
  return out;
}

json definitions() {
  json out = json::object();
  for (const Part& part : kParts) out[part.name] = map_schema(part.section);
  add_grammars(out);
  for (const Key& key : keys_of(Section::stage))
    out["stage." + std::string(key.name)] = key_schema(Section::stage, key);
  for (const auto& [name, bit] : kKinds) out["stage-of-" + std::string(name)] = stage_keys(bit);
  out["stage-of-any"] = stage_keys(kAnyKind);
  add_rules(out);
  return out;
}

}  // namespace

json json_schema() {
  json root = map_schema(Section::root);
  json& stages = root["properties"]["stages"];
  for (const auto& [name, bit] : kKinds) stages["properties"][name] = stage_schema(name);
  stages["additionalProperties"] = stage_schema("any");
  root["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  root["title"] = "Fathom sweep file, version 1";
  root["$defs"] = definitions();
  root["if"] = {{"required", json::array({"include"})}};
  root["else"] = schema_ref("rules");
  return root;
}

}  // namespace fathom::sweeps
