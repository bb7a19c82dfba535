// Presets of adapters and their override syntax.
#include <algorithm>
#include <cctype>
#include <string>

#include <nlohmann/json.hpp>

#include "trainer/adapters/adapter_config.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;

// The keys in which a preset differs from BnConfig's defaults (docs: adapterhub "Adapter methods").
Result<json> preset_keys(std::string_view name) {
  if (name == "seq_bn" || name == "pfeiffer") {
    return json{{"mh_adapter", false},
                {"output_adapter", true},
                {"reduction_factor", 16},
                {"non_linearity", "relu"},
                {"original_ln_before", true}};
  }
  if (name == "double_seq_bn" || name == "houlsby") {
    return json{{"mh_adapter", true}, {"output_adapter", true}, {"reduction_factor", 16}, {"non_linearity", "swish"}};
  }
  if (name == "par_bn" || name == "parallel" || name == "scaled_par_bn" || name == "scaled_parallel") {
    json keys = {{"mh_adapter", false},     {"output_adapter", true}, {"reduction_factor", 2},
                 {"non_linearity", "relu"}, {"is_parallel", true},    {"init_weights", "mam_adapter"}};
    keys["scaling"] = name.starts_with("scaled") ? json("learned") : json(4.0);
    return keys;
  }
  return Error{Errc::invalid_argument, "unknown adapter config \"" + std::string(name) +
                                           "\"; known are seq_bn, double_seq_bn, par_bn, scaled_par_bn"};
}

std::string trimmed(std::string text) {
  const auto space = [](unsigned char c) { return std::isspace(c) != 0; };
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), space));
  text.erase(std::find_if_not(text.rbegin(), text.rend(), space).base(), text.end());
  return text;
}

// A Python literal of the override syntax: True, None, numbers, 'quoted' or bare words.
json literal(const std::string& text) {
  if (text == "True" || text == "true") return true;
  if (text == "False" || text == "false") return false;
  if (text == "None" || text == "null") return nullptr;
  const json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_discarded()) return parsed;
  if (text.size() >= 2 && text.front() == '\'' && text.back() == '\'') return text.substr(1, text.size() - 2);
  return text;
}

// Commas inside [] or {} belong to a value.
std::vector<std::string> split_overrides(std::string_view text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : text) {
    depth += (c == '[' || c == '{') - (c == ']' || c == '}');
    if (c == ',' && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

}  // namespace

Result<AdapterConfig> adapter_preset(std::string_view text) {
  const auto bracket = text.find('[');
  FATHOM_ASSIGN(json keys, preset_keys(trimmed(std::string(text.substr(0, bracket)))));
  if (bracket != std::string_view::npos) {
    if (text.back() != ']') return Error{Errc::invalid_argument, "adapter config: \"]\" is missing at the end"};
    for (const std::string& part : split_overrides(text.substr(bracket + 1, text.size() - bracket - 2))) {
      const auto equals = part.find('=');
      if (equals == std::string::npos) {
        return Error{Errc::invalid_argument, "adapter config: \"" + part + "\" is not key=value"};
      }
      keys[trimmed(part.substr(0, equals))] = literal(trimmed(part.substr(equals + 1)));
    }
  }
  return adapter_config_from_json(keys);
}

}  // namespace fathom::trainer
