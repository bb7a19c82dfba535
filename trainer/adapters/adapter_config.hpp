// Configuration of bottleneck adapters: the 33 keys of `adapters`' BnConfig and its presets.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "common/result.hpp"
#include "trainer/model/activation.hpp"

namespace fathom::trainer {

// Where an adapter sits in a layer: after the attention's output dense ("mh_adapter") or after the second dense of the
// feed-forward block ("output_adapter").
enum class Site { attention = 0, output = 1 };
const char* site_name(Site site);  // "mh_adapter" / "output_adapter", the names in configs and attention tables

// Bottleneck width = max(1, int(hidden // factor)). JSON number or map of layer → number with "default".
struct ReductionFactor {
  double factor = 16;                        // the "default" of a map
  bool has_default = true;                   // false: a map that must name every layer
  std::map<std::int64_t, double> per_layer;  // empty: one number for all layers
  // Whole numbers that the file spells as floats, by layer (-1: `factor`): AdapterHub's config ids tell 16.0 from 16.
  std::set<std::int64_t> floats;
  [[nodiscard]] double at(std::int64_t layer) const;
};

enum class ResidualBefore { no, yes, post_add };  // residual_before_ln: false, true, "post_add"
enum class ScalingKind { fixed, learned, channel };
enum class InitWeights { bert, mam_adapter, houlsby };

// Defaults are BnConfig's, which loading falls back to; note that presets differ (seq_bn sets original_ln_before).
struct AdapterConfig {
  bool mh_adapter = false;
  bool output_adapter = true;
  ReductionFactor reduction_factor;
  std::string non_linearity = "relu";  // as spelled in the file; activation is what it means
  Activation activation = Activation::relu;
  bool original_ln_before = false;
  bool original_ln_after = true;
  bool ln_before = false;
  bool ln_after = false;
  ResidualBefore residual_before_ln = ResidualBefore::yes;
  bool adapter_residual_before_ln = false;
  InitWeights init_weights = InitWeights::bert;
  std::int64_t init_weights_seed = 0;  // 0 = null
  bool is_parallel = false;
  ScalingKind scaling_kind = ScalingKind::fixed;
  double scaling = 1.0;
  double dropout = 0.0;
  bool use_gating = false;
  std::vector<std::int64_t> leave_out;  // layers without modules, rising
  // Keys that are carried but not interpreted (phm_*, inv_adapter, unknown ones): JSON object text.
  std::string other = "{}";

  [[nodiscard]] bool has(Site site) const { return site == Site::attention ? mh_adapter : output_adapter; }
  [[nodiscard]] bool leaves_out(std::int64_t layer) const;
};

// "seq_bn", "double_seq_bn", "par_bn", "scaled_par_bn" and the old names pfeiffer, houlsby, parallel; with overrides as
// the library writes them: "seq_bn[reduction_factor=8, non_linearity=gelu]".
Result<AdapterConfig> adapter_preset(std::string_view text);

// The "config" object of adapter_config.json. `current` = the file has a "version"; without it older activation names
// apply (gelu means gelu_new). unsupported for architectures and options that change the arithmetic and are not built
// (PHM layers, invertible adapters, stochastic depth); invalid_argument for missing required keys and wrong types.
Result<AdapterConfig> adapter_config_from_json(const nlohmann::json& config, bool current = true);
nlohmann::json to_json(const AdapterConfig& config);  // all 33 keys (and unknown ones that were read)

}  // namespace fathom::trainer
