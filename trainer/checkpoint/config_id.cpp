#include "trainer/checkpoint/config_id.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/sha1.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;

constexpr std::size_t kDigits = 16;

// ADAPTER_CONFIG_HASH_IGNORE_DEFAULT of the library.
const json& later_defaults() {
  static const json defaults = {{"phm_layer", true},
                                {"phm_dim", 4},
                                {"factorized_phm_W", true},
                                {"shared_W_phm", false},
                                {"shared_phm_rule", true},
                                {"factorized_phm_rule", false},
                                {"phm_c_init", "normal"},
                                {"phm_init_range", 0.0001},
                                {"learn_phm", true},
                                {"hypercomplex_nonlinearity", "glorot-uniform"},
                                {"phm_rank", 1},
                                {"phm_bias", true},
                                {"init_weights", "bert"},
                                {"scaling", 1.0}};
  return defaults;
}

// What Python takes for false.
bool falsy(const json& value) {
  if (value.is_null() || value == false) return true;
  if (value.is_number()) return value.get<double>() == 0;
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.is_structured() && value.empty();
}

json minimised(const json& value) {
  if (!value.is_object()) return value;
  json out = json::object();
  for (const auto& [key, item] : value.items()) {
    if (!falsy(item)) out[key] = minimised(item);
  }
  return out;
}

// repr() of a float: the shortest digits that read back, always with a point or an exponent.
std::string python_float(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

// json.dumps(value, sort_keys=True). nlohmann's objects are sorted by bytes, which for UTF-8 is Python's order.
std::string python_json(const json& value) {
  std::string out;
  if (value.is_object()) {
    for (const auto& [key, item] : value.items())
      out += (out.empty() ? "" : ", ") + json(key).dump(-1, ' ', true) + ": " + python_json(item);
    return "{" + out + "}";
  }
  if (value.is_array()) {
    for (const auto& item : value) out += (out.empty() ? "" : ", ") + python_json(item);
    return "[" + out + "]";
  }
  return value.is_number_float() ? python_float(value.get<double>()) : value.dump(-1, ' ', true);
}

}  // namespace

std::string config_id(const json& config) {
  json rest = minimised(config);
  for (const auto& [key, value] : later_defaults().items()) {
    // Numbers are compared by value, as Python does it: 1 is 1.0 here, and True is 1.
    const auto found = rest.find(key);
    if (found == rest.end()) continue;
    const bool one = value.is_number() && found->is_boolean() && *found && value.get<double>() == 1;
    const bool yes = value == true && found->is_number() && found->get<double>() == 1;
    if (*found == value || one || yes) rest.erase(found);
  }
  return sha1_hex(python_json(rest)).substr(0, kDigits);
}

}  // namespace fathom::trainer
