// What has to be there and what keys need of each other, as JSON Schema: the parser's rules that one map can show.
#include "sweeps/schema/fields.hpp"
#include "sweeps/schema/json_parts.hpp"
#include "sweeps/schema/stop_keys.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;
using Names = std::vector<std::string>;

json has(const Names& names) { return {{"required", names}}; }

json has_any(const Names& names) {
  json out = json::array();
  for (const std::string& name : names) out.push_back(has({name}));
  return any_of(out);
}

json negated(const json& schema) { return {{"not", schema}}; }

json has_none(const Names& names) { return negated(has_any(names)); }

json is_one(const std::string& name, const json& values) {
  return {{"type", "object"}, {"required", json::array({name})}, {"properties", {{name, {{"enum", values}}}}}};
}

json is(const std::string& name, const json& value) { return is_one(name, json::array({value})); }

json implies(const json& condition, const json& then) { return {{"if", condition}, {"then", then}}; }

json each(json rules) { return {{"allOf", std::move(rules)}}; }

json below(const std::string& name, const json& rule) { return {{"properties", {{name, rule}}}}; }

json any_value(const json& rule) { return {{"additionalProperties", rule}}; }

// Keys that a section cannot do without.
json required_of(Section section, unsigned kinds = kAnyKind) {
  Names names;
  for (const Key& key : keys_of(section)) {
    if (key.required && (key.kinds & ~key.optional & kinds)) names.emplace_back(key.name);
  }
  return has(names);
}

// The list, or the one word, has it.
json holds(const std::string& list, const std::string& word) {
  return below(list,
               any_of(json::array({json{{"const", word}}, json{{"type", "array"}, {"contains", {{"const", word}}}}})));
}

json model_rules() {
  return each({implies(has_none({"config"}), has({"path"})), implies(has({"config"}), has({"init"})),
               implies(has({"config"}), has_none({"path"})), implies(has({"init"}), has({"config"}))});
}

json task_rules() {
  const json map = {
      {"type", "object"}, {"required", json::array({"data"})}, {"properties", {{"data", {{"type", "object"}}}}}};
  const json file = {{"type", "object"},
                     {"required", json::array({"data"})},
                     {"properties", {{"data", {{"not", {{"type", "object"}}}}}}}};
  return {{"type", "object"},
          {"allOf", json::array({has_any({"path", "data"}), negated(has({"path", "data"})),
                                 implies(has({"path"}), has_none({"split"})), implies(map, has_none({"split"})),
                                 implies(file, has({"split"})), below("data", required_of(Section::data))})}};
}

json parameter_rules() {
  const json range = has_any({"min", "max", "samples", "step"});
  const json log = is("scale", "log");
  return {{"if", {{"type", "object"}}},
          {"then", each({any_of(json::array({has({"values"}), has({"min", "max"})})),
                         implies(has({"values"}), negated(range)), negated(has({"samples", "step"})),
                         implies(log, has_none({"step"})), implies(log, below("min", {{"exclusiveMinimum", 0}}))})}};
}

json search_rules() {
  const json draws = is_one("sampler", {"random", "sobol", "tpe"});
  return each({implies(draws, has({"trials"})), implies(negated(draws), has_none({"trials", "seed"})),
               implies(negated(is("sampler", "tpe")), has_none({"startup"}))});
}

json drop_rules() {
  return implies({{"type", "object"}},
                 any_of(json::array({is("standard", true), has({"specialized"}), has({"robust"})})));
}

// Keys of `stop` by its method.
json stop_rules() {
  json rules = json::array({required_of(Section::stop)});
  for (const StopKey& of : stop_keys()) {
    rules.push_back(implies(has({of.key}), {{"properties", {{"method", {{"enum", split_words(of.methods)}}}}}}));
    if (*of.needed) rules.push_back(implies(is_one("method", split_words(of.needed)), has({of.key})));
  }
  const json by_step = is("unit", "step"), pbt = is("method", "pbt");
  const json without_end = each({is("method", "asha"), has_none({"rungs"})});
  for (const json& rule :
       {implies(is("method", "threshold"), has_any({"lower", "upper"})), negated(has({"min", "rungs"})),
        implies(is("variant", "promote"), has_none({"ties", "bootstrap"})), implies(pbt, has_none({"per"})),
        implies(pbt, negated(by_step)), implies(by_step, has_any({"min", "rungs"})),
        implies(each({by_step, negated(without_end)}), has({"max"}))})
    rules.push_back(rule);
  return {{"type", "object"}, {"allOf", rules}};
}

json prune_rules() {
  return each({has_any({"keep", "threshold"}), implies(has({"per"}), has({"best"})), holds("per", "task")});
}

json fusion_rules() { return below("needs", each({required_of(Section::needs), holds("per", "task")})); }

json benchmark_rules() {
  const json trained = is("members_init", "trained");
  const json parallel = {{"required", json::array({"subjects"})},
                         {"properties", {{"subjects", {{"required", json::array({"parallel"})}}}}}};
  return each({implies(trained, has({"from"})), implies(has_any({"from", "where"}), trained),
               below("subjects", each({has_any({"finetune", "adapter", "fusion", "parallel"}),
                                       below("fusion", required_of(Section::subject_fusion)),
                                       below("parallel", required_of(Section::subject_parallel))})),
               implies(parallel, holds("measure", "infer")),
               implies(each({has({"baseline"}), holds("baseline", "separate")}), parallel)});
}

json kind_rules(unsigned kind) {
  json rules = json::array({required_of(Section::stage, kind)});
  if (kind & kFusion) rules.push_back(fusion_rules());
  if (kind & kPrune) rules.push_back(prune_rules());
  if (kind & kEvaluate) rules.push_back(each({implies(has({"per"}), has({"best"})), holds("per", "task")}));
  if (kind & kBenchmark) rules.push_back(benchmark_rules());
  if (kind & kTrained)
    rules.push_back({{"properties",
                      {{"drop", drop_rules()},
                       {"stop", schema_ref("rules-of-stop")},
                       {"search", search_rules()},
                       {"parameters", any_value(parameter_rules())}}}});
  // `adapter:` alone is a stage; a kind with keys that are needed has to have them.
  const bool empty = rules[0]["required"].empty() && !(kind & kPrune);
  if (!empty) rules.push_back({{"type", "object"}});
  return each(rules);
}

// Named by its kind, or with one of its own.
json stage_rules(const std::string& name) {
  json rules = json::array();
  for (const auto& [kind, bit] : kKinds) {
    const json given = has({"kind"});
    const json meant = kind == name
                           ? any_of(json::array({is("kind", kind), negated(each({json{{"type", "object"}}, given}))}))
                           : is("kind", kind);
    rules.push_back(implies(meant, schema_ref(std::string("rules-of-") + kind)));
  }
  if (name.empty()) rules.push_back({{"type", "object"}, {"required", json::array({"kind"})}});
  return each(rules);
}

}  // namespace

void add_rules(json& definitions) {
  for (const auto& [kind, bit] : kKinds) definitions[std::string("rules-of-") + kind] = kind_rules(bit);
  definitions["rules-of-stop"] = stop_rules();
  json stages = any_value(stage_rules(""));
  for (const auto& [kind, bit] : kKinds) stages["properties"][kind] = stage_rules(kind);
  json out = required_of(Section::root);
  out["properties"] = {{"model", model_rules()},
                       {"tasks", any_value(task_rules())},
                       {"parameters", any_value(parameter_rules())},
                       {"search", search_rules()},
                       {"notify", {{"items", required_of(Section::notify)}}},
                       {"stages", stages}};
  definitions["rules"] = std::move(out);
}

}  // namespace fathom::sweeps
