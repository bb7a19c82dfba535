// Keys with a grammar of their own as JSON Schema: parameters, conditions, sets, sources.
#include "sweeps/resolve/notify.hpp"
#include "sweeps/resolve/parameters.hpp"
#include "sweeps/resolve/stages.hpp"
#include "sweeps/schema/json_parts.hpp"
#include "sweeps/schema/values.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

json closed_map(const json& properties) {
  return {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
}

json range_text() { return {{"type", "string"}, {"pattern", R"(^-?\d+\.\.-?\d+$)"}}; }

json word_of(const std::string& pattern) {
  return {{"type", json::array({"string", "number", "boolean"})}, {"pattern", pattern}};
}

json described(json schema, const std::string& text) {
  schema["description"] = text;
  return schema;
}

bool is_numeric(const Key& key) { return key.type == Type::number || key.type == Type::integer; }

// A value, a list, or comparisons.
json condition(const Key& key, const json& value) {
  json values = json::array({value});
  if (key.type == Type::integer) values.push_back(range_text());
  json many = values;
  many.push_back({{"type", "array"}, {"items", any_of(values)}});
  json compared = json::object();
  // What values are compared with need not be one of them.
  const json bound = is_numeric(key) ? json{{"type", key.type == Type::integer ? "integer" : "number"}} : value;
  for (const char* comparison : kComparisons) compared[comparison] = bound;
  compared["ne"] = any_of(many);
  many.push_back(closed_map(compared));
  return any_of(many);
}

json condition_of(const std::string& name) {
  const Column column = *plan_column(name);
  if (name != "drop") return condition(column.key, value_schema(column.key));
  return condition(column.key, {{"type", "string"},
                                {"pattern", R"(^(standard|specialized|robust|robust-all|specialized-\d{2,3}|)"
                                            R"(robust-\d\d-\d{2,3}|robust-\d{3}-\d{3})$)"}});
}

// `NAME: [a, b]`, or a map with `values` or a range.
json parameter_schema(const Parameter& of) {
  const json value = schema_ref("value." + of.name);
  json items = json::array({value});
  if (of.key->type == Type::integer) items.push_back(range_text());
  json listed = json::array({list_of(any_of(items))});
  if (of.key->type == Type::integer) listed.push_back(range_text());
  json properties = {{"values", any_of(listed)}, {"scale", schema_ref("sample.scale")}};
  if (is_numeric(*of.key)) {
    for (const char* end : {"min", "max"}) properties[end] = value;  // values like any other
    for (const char* key : {"samples", "step"}) properties[key] = schema_ref(std::string("sample.") + key);
  }
  properties["when"] = is_always_there(of.name) ? json(false) : schema_ref("conditions-on-parameters");
  for (const Key& key : keys_of(Section::parameter)) {
    const auto found = properties.find(key.name);
    if (found != properties.end() && found->is_object() && !found->contains("$ref")) (*found)["description"] = key.doc;
  }
  listed.push_back(closed_map(properties));
  return described(any_of(listed), of.key->doc);
}

// Parameters go by two names: "lr" and "train.lr".
void add_named(json& properties, const std::string& prefix, const Parameter& of, const json& schema) {
  properties[prefix + of.name] = schema;
  properties[prefix + of.full] = schema;
}

json needs_from() {
  const json folders = {{"type", "object"}, {"minProperties", 1}, {"additionalProperties", path_schema()}};
  const json stage = word_of(R"(^(?!sweep:)|^sweep:[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}/[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$)");
  return one_or_list(any_of(json::array({stage, folders})));
}

json stage_from() {
  json out = one_or_list(word_of("^(?!sweep:)"));
  out["anyOf"][1]["uniqueItems"] = true;
  return out;
}

json task_names() {
  json out = list_of(word_of("^"));
  out["uniqueItems"] = true;
  return out;
}

json all_or_tasks() { return any_of(json::array({json{{"const", "all"}}, task_names()})); }

// A member of `sets`.
json set_schema() {
  const auto whole = [](int least, int most) {
    return json{{"type", "integer"}, {"minimum", least}, {"maximum", most}};
  };
  json subsets = closed_map({{"subsets", whole(1, 100'000)}});
  subsets["required"] = json::array({"subsets"});
  json greedy = closed_map({{"greedy", whole(2, 100'000)}, {"budget", whole(1, 100'000)}, {"among", all_or_tasks()}});
  greedy["required"] = json::array({"greedy"});
  return any_of(json::array({json{{"enum", json::array({"all", "leave_one_out"})}}, task_names(), subsets, greedy}));
}

json sets_schema() {
  const json words = {{"enum", json::array({"all", "leave_one_out"})}};
  const json map = {{"type", "object"}, {"$ref", "#/$defs/set"}};
  json list = list_of(schema_ref("set"));
  list["uniqueItems"] = true;
  return any_of(json::array({words, map, list}));
}

json depths_schema(bool unique) {
  return any_of(json::array({json{{"const", "all"}}, integers_schema(0, 1000, unique)}));
}

json threshold_schema() {
  const json one = {{"type", "number"}, {"exclusiveMinimum", 0}, {"exclusiveMaximum", 1}};
  return any_of(json::array({one, json{{"type", "array"}, {"items", one}, {"uniqueItems", true}}}));
}

json robust_schema() {
  const json depth = {{"type", "integer"}, {"minimum", 0}, {"maximum", 1000}};
  const json pair = {{"type", "array"}, {"items", depth}, {"minItems", 2}, {"maxItems", 2}};
  return any_of(json::array({json{{"const", true}}, json{{"type", "string"}, {"pattern", R"(^\d+\.\.\d+$)"}}, pair}));
}

json root_grammar(const std::string& name) {
  if (name == "include") return one_or_list(word_of("^"));
  const std::string first = "[A-Za-z0-9";
  if (name == "tasks")  // a task's name becomes its adapter's
    return {{"type", "object"},
            {"minProperties", 1},
            {"propertyNames", {{"pattern", "^(?!all$)" + first + "][A-Za-z0-9_-]{0,63}$"}}},
            {"additionalProperties", schema_ref("task")}};
  if (name == "stages")
    return {{"type", "object"},
            {"minProperties", 1},
            {"propertyNames", {{"pattern", "^" + first + "_][A-Za-z0-9_-]{0,63}$"}}}};
  if (name == "cache") return any_of(json::array({json{{"type", "boolean"}}, schema_ref("cache")}));
  return {{"type", "array"}, {"items", schema_ref("notify")}, {"maxItems", kMaxHooks}};
}

json stage_grammar(const std::string& name) {
  if (name == "sets") return sets_schema();
  if (name == "targets") return all_or_tasks();
  if (name == "from") return stage_from();
  if (name == "where") return schema_ref("conditions-on-jobs");
  if (name == "threshold") return threshold_schema();
  return depths_schema(false);  // of evaluate
}

}  // namespace

json grammar_schema(Section section, const std::string& name) {
  if (name == "parameters" || name == "zip" || name == "exclude") return schema_ref(name);
  if (section == Section::root) return root_grammar(name);
  if (section == Section::stage) return stage_grammar(name);
  if (section == Section::task) return any_of(json::array({path_schema(), schema_ref("data")}));  // data
  if (section == Section::drop) return robust_schema();
  if (section == Section::needs) return name == "from" ? needs_from() : schema_ref("conditions-on-jobs");
  if (section == Section::subjects) return {{"type", "object"}, {"maxProperties", 0}};  // finetune
  if (section == Section::stop)                                                         // factors
    return list_of({{"type", "number"}, {"exclusiveMinimum", 0}, {"maximum", 1000}});
  if (section == Section::subject_adapter || section == Section::subject_fusion || section == Section::subject_parallel)
    return depths_schema(true);
  return json::object();  // the values of a parameter: by its key
}

void add_grammars(json& definitions) {
  for (const char* name : {"scale", "samples", "step"}) {
    const Key& key = *find_key(Section::parameter, name);
    definitions["sample." + std::string(name)] = described(value_schema(key), key.doc);
  }
  json all = json::object(), trained = json::object(), names = json::array();
  json on_parameters = json::object(), on_jobs = json::object(), on_points = json::object();
  for (const std::string& name : parameter_names()) {
    const Parameter of = *find_parameter(name);
    definitions["value." + name] = value_schema(*of.key);
    definitions["parameter." + name] = parameter_schema(of);
    definitions["condition." + name] = condition(*of.key, schema_ref("value." + name));
    const json own = schema_ref("parameter." + name), on = schema_ref("condition." + name);
    add_named(all, "", of, own);
    if (of.section == Section::train) add_named(trained, "", of, own);
    add_named(on_parameters, "", of, on);
    add_named(on_points, "", of, on), add_named(on_points, "param.", of, on);
    add_named(on_jobs, "param.", of, on);
    names.insert(names.end(), {of.name, of.full});
  }
  for (const std::string& column : plan_columns()) {
    if (column.rfind("param.", 0) == 0) continue;
    definitions["condition." + column] = condition_of(column);
    on_jobs[column] = schema_ref("condition." + column);
    if (column == "task" || column == "drop" || column == "set") on_points[column] = on_jobs[column];
  }
  definitions["parameters"] = closed_map(all);
  definitions["parameters-of-train"] = closed_map(trained);
  definitions["conditions-on-parameters"] = closed_map(on_parameters);
  definitions["conditions-on-jobs"] = closed_map(on_jobs);
  json point = closed_map(on_points);
  point["minProperties"] = 1;
  definitions["exclude"] = {{"type", "array"}, {"items", point}};
  definitions["zip"] = {{"type", "array"}, {"items", one_or_list({{"enum", names}})}};
  definitions["set"] = set_schema();
}

}  // namespace fathom::sweeps
