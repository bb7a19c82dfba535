#include "trainer/adapters/adapter_config.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "trainer/adapters/json_keys.hpp"

namespace fathom::trainer {

using nlohmann::json;

const char* site_name(Site site) { return site == Site::attention ? "mh_adapter" : "output_adapter"; }

double ReductionFactor::at(std::int64_t layer) const {
  const auto found = per_layer.find(layer);
  return found == per_layer.end() ? factor : found->second;
}

bool AdapterConfig::leaves_out(std::int64_t layer) const {
  return std::find(leave_out.begin(), leave_out.end(), layer) != leave_out.end();
}

namespace {

// Carried, not interpreted, at BnConfig's defaults. Other values of those in `refused` change the arithmetic.
const json& carried_defaults() {
  static const json defaults = {{"cross_adapter", false},
                                {"factorized_phm_W", true},
                                {"factorized_phm_rule", false},
                                {"hypercomplex_nonlinearity", "glorot-uniform"},
                                {"inv_adapter", nullptr},
                                {"inv_adapter_reduction_factor", nullptr},
                                {"learn_phm", true},
                                {"phm_bias", true},
                                {"phm_c_init", "normal"},
                                {"phm_dim", 4},
                                {"phm_init_range", 0.0001},
                                {"phm_layer", false},
                                {"phm_rank", 1},
                                {"shared_W_phm", false},
                                {"shared_phm_rule", true},
                                {"stochastic_depth", 0.0}};
  return defaults;
}

constexpr std::int64_t kMaxLayer = 10000;
constexpr std::int64_t kDefault = -1;  // in ReductionFactor::floats

json number(const ReductionFactor& reduction, std::int64_t layer) {
  // 16, not 16.0, unless it came so: the library hashes the text. Only `scaling` must be a float in JSON.
  const double value = layer == kDefault ? reduction.factor : reduction.per_layer.at(layer);
  const auto integer = static_cast<std::int64_t>(value);
  const bool whole = static_cast<double>(integer) == value && !reduction.floats.contains(layer);
  return whole ? json(integer) : json(value);
}

json reduction_to_json(const ReductionFactor& reduction) {
  if (reduction.per_layer.empty()) return number(reduction, kDefault);
  json map = json::object();
  for (const auto& [layer, factor] : reduction.per_layer) map[std::to_string(layer)] = number(reduction, layer);
  if (reduction.has_default) map["default"] = number(reduction, kDefault);
  return map;
}

// Bounds that no width leaves: a thousand times wider than the model, or one unit for a billion.
bool is_factor(const json& value) {
  return value.is_number() && value.get<double>() >= 1e-3 && value.get<double>() <= 1e9;
}

void read_reduction(JsonKeys& keys, ReductionFactor& out) {
  const json* value = keys.required("reduction_factor");
  if (!value) return;
  if (is_factor(*value)) {
    out.factor = value->get<double>();
    if (value->is_number_float()) out.floats.insert(kDefault);
    return;
  }
  if (!value->is_object()) return keys.fail("\"reduction_factor\" must be a positive number or a map of layers");
  out.has_default = false;
  for (const auto& [layer, factor] : value->items()) {
    if (!is_factor(factor)) return keys.fail("\"reduction_factor\": the value of \"" + layer + "\" is not positive");
    if (layer == "default") {
      out.has_default = true;
      out.factor = factor.get<double>();
      if (factor.is_number_float()) out.floats.insert(kDefault);
    } else if (layer.empty() || layer.size() > 4 || layer.find_first_not_of("0123456789") != std::string::npos) {
      return keys.fail("\"reduction_factor\": \"" + layer + "\" is neither a layer nor \"default\"");
    } else {
      out.per_layer[std::stol(layer)] = factor.get<double>();
      if (factor.is_number_float()) out.floats.insert(std::stol(layer));
    }
  }
}

void read_scaling(JsonKeys& keys, AdapterConfig& config) {
  const json* value = keys.optional("scaling");
  if (!value) return;
  if (value->is_number()) {
    config.scaling = value->get<double>();
  } else if (*value == "learned") {
    config.scaling_kind = ScalingKind::learned;
  } else if (*value == "channel") {
    config.scaling_kind = ScalingKind::channel;
  } else {
    keys.fail("\"scaling\" must be a number, \"learned\" or \"channel\"");
  }
}

void read_residual(JsonKeys& keys, AdapterConfig& config) {
  const json* value = keys.optional("residual_before_ln");
  if (!value) return;
  if (value->is_boolean()) {
    config.residual_before_ln = value->get<bool>() ? ResidualBefore::yes : ResidualBefore::no;
  } else if (*value == "post_add") {
    config.residual_before_ln = ResidualBefore::post_add;
    // The library has no residual to add then.
    if (!config.original_ln_before) keys.fail("\"residual_before_ln\": \"post_add\" needs original_ln_before");
  } else {
    keys.fail("\"residual_before_ln\" must be true, false or \"post_add\"");
  }
}

void read_leave_out(JsonKeys& keys, AdapterConfig& config) {
  const json* value = keys.optional("leave_out");
  if (!value) return;
  if (!value->is_array()) return keys.fail("\"leave_out\" must be a list of layers");
  for (const json& layer : *value) {
    // By value: a number that was put together in memory is signed, one that was read is not.
    const bool sane = layer.is_number_integer() && layer >= 0 && layer < kMaxLayer;
    if (!sane) return keys.fail("\"leave_out\" must be a list of layers");
    config.leave_out.push_back(layer.get<std::int64_t>());
  }
  std::sort(config.leave_out.begin(), config.leave_out.end());
  config.leave_out.erase(std::unique(config.leave_out.begin(), config.leave_out.end()), config.leave_out.end());
}

void read_init(JsonKeys& keys, AdapterConfig& config) {
  const std::string init = keys.text("init_weights", "bert");
  if (init == "bert") {
    config.init_weights = InitWeights::bert;
  } else if (init == "mam_adapter") {
    config.init_weights = InitWeights::mam_adapter;
  } else if (init == "houlsby") {
    config.init_weights = InitWeights::houlsby;
  } else {
    keys.fail("\"init_weights\" must be bert, mam_adapter or houlsby, not \"" + init + "\"");
  }
  const json* seed = keys.optional("init_weights_seed");
  if (seed && seed->is_number_integer()) config.init_weights_seed = seed->get<std::int64_t>();
}

void read_activation(JsonKeys& keys, AdapterConfig& config, bool current) {
  if (!keys.required("non_linearity")) return;
  config.non_linearity = keys.text("non_linearity", "relu");
  // Names changed their meaning when versions began to be written.
  if (!current && config.non_linearity == "gelu") {
    config.non_linearity = "gelu_new";
  } else if (!current && config.non_linearity == "gelu_orig") {
    config.non_linearity = "gelu";
  }
  if (auto activation = parse_activation(config.non_linearity)) {
    config.activation = *activation;
  } else {
    keys.fail("\"non_linearity\": " + activation.error().message);
  }
}

// What is neither typed nor a default is kept for writing back, unless it asks for arithmetic that is not built.
void read_carried(JsonKeys& keys, AdapterConfig& config) {
  json other = json::object();
  for (const auto& [key, value] : keys.object().items()) {
    if (keys.seen(key)) continue;
    const bool refused = key == "phm_layer" || key == "inv_adapter" || key == "invertible_adapter" ||
                         key == "stochastic_depth" || key == "cross_adapter" || key == "architecture";
    const bool off = value.is_null() || value == false || value == 0;
    if (refused && !off) return keys.unsupported("\"" + key + "\": " + value.dump() + " is not supported");
    if (!carried_defaults().contains(key) || carried_defaults()[key] != value) other[key] = value;
  }
  config.other = other.dump();
}

}  // namespace

Result<AdapterConfig> adapter_config_from_json(const json& object, bool current) {
  if (!object.is_object()) return Error{Errc::invalid_argument, "the adapter's \"config\" must be an object"};
  JsonKeys keys(object);
  AdapterConfig c;
  c.mh_adapter = keys.required_flag("mh_adapter");
  c.output_adapter = keys.required_flag("output_adapter");
  read_reduction(keys, c.reduction_factor);
  read_activation(keys, c, current);
  c.original_ln_before = keys.flag("original_ln_before", false);
  c.original_ln_after = keys.flag("original_ln_after", true);
  c.ln_before = keys.flag("ln_before", false);
  c.ln_after = keys.flag("ln_after", false);
  read_residual(keys, c);
  c.adapter_residual_before_ln = keys.flag("adapter_residual_before_ln", false);
  read_init(keys, c);
  c.is_parallel = keys.flag("is_parallel", false);
  read_scaling(keys, c);
  c.dropout = keys.number("dropout", 0.0);
  if (!(c.dropout >= 0 && c.dropout < 1)) keys.fail("\"dropout\" must lie in [0, 1)");
  c.use_gating = keys.flag("use_gating", false);
  read_leave_out(keys, c);
  read_carried(keys, c);
  FATHOM_TRY(keys.status());
  return c;
}

json to_json(const AdapterConfig& c) {
  json out = carried_defaults();
  out.update(json::parse(c.other, nullptr, false));
  out["mh_adapter"] = c.mh_adapter;
  out["output_adapter"] = c.output_adapter;
  out["reduction_factor"] = reduction_to_json(c.reduction_factor);
  out["non_linearity"] = c.non_linearity;
  out["original_ln_before"] = c.original_ln_before;
  out["original_ln_after"] = c.original_ln_after;
  out["ln_before"] = c.ln_before;
  out["ln_after"] = c.ln_after;
  out["residual_before_ln"] = c.residual_before_ln == ResidualBefore::post_add
                                  ? json("post_add")
                                  : json(c.residual_before_ln == ResidualBefore::yes);
  out["adapter_residual_before_ln"] = c.adapter_residual_before_ln;
  out["init_weights"] = c.init_weights == InitWeights::bert          ? "bert"
                        : c.init_weights == InitWeights::mam_adapter ? "mam_adapter"
                                                                     : "houlsby";
  out["init_weights_seed"] = c.init_weights_seed == 0 ? json(nullptr) : json(c.init_weights_seed);
  out["is_parallel"] = c.is_parallel;
  out["scaling"] = c.scaling_kind == ScalingKind::fixed     ? json(c.scaling)
                   : c.scaling_kind == ScalingKind::learned ? json("learned")
                                                            : json("channel");
  out["dropout"] = c.dropout;
  out["use_gating"] = c.use_gating;
  out["leave_out"] = c.leave_out;
  return out;
}

}  // namespace fathom::trainer
