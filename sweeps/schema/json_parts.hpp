// Parts of the JSON Schema: values of keys, grammars of their own, and what keys need of each other.
// Thread: free functions without state.
#pragma once

#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "sweeps/schema/schema.hpp"

namespace fathom::sweeps {

// Kinds of stages by name.
inline constexpr std::pair<const char*, unsigned> kKinds[] = {{"adapter", kAdapter},   {"fusion", kFusion},
                                                              {"prune", kPrune},       {"evaluate", kEvaluate},
                                                              {"finetune", kFinetune}, {"benchmark", kBenchmark}};

// {"$ref": …} to a definition of this schema.
nlohmann::json schema_ref(const std::string& name);
nlohmann::json any_of(nlohmann::json alternatives);
// A list of `items`, at least one.
nlohmann::json list_of(const nlohmann::json& items);
// The value or a list of such values.
nlohmann::json one_or_list(const nlohmann::json& value);

// What typed() takes for the key, without its description. Sections and keys with a grammar of their own: anything.
nlohmann::json value_schema(const Key& key);
// `3`, `a..b` or a list of these within limits.
nlohmann::json integers_schema(double low, double high, bool unique);
nlohmann::json path_schema();
nlohmann::json scalar_schema();

// A key of type special in this section.
nlohmann::json grammar_schema(Section section, const std::string& name);
// Definitions that grammars refer to: parameters and conditions.
void add_grammars(nlohmann::json& definitions);

// `rules`: what has to be there and what keys need of each other, for a file that includes no other (which may have
// it).
void add_rules(nlohmann::json& definitions);

}  // namespace fathom::sweeps
