// AdapterFusion: attention over the outputs of several adapters (Pfeiffer et al., EACL 2021), as `adapters` computes
// it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "common/result.hpp"
#include "trainer/adapters/adapter.hpp"

namespace fathom::trainer {

// The ten keys; defaults are those of "dynamic".
struct FusionConfig {
  bool key = true;
  bool query = true;
  bool value = true;
  bool query_before_ln = false;
  bool regularization = true;
  bool residual_before = false;
  bool temperature = false;
  bool value_before_softmax = true;
  bool value_initialized = true;
  std::optional<double> dropout_prob;  // null or 0: the model's attention dropout
};

Result<FusionConfig> fusion_preset(std::string_view name);                   // "dynamic" or "static"
Result<FusionConfig> fusion_config_from_json(const nlohmann::json& config);  // missing keys: dynamic's
nlohmann::json to_json(const FusionConfig& config);

// Per token: q = W_q z + b_q, k_i = W_k u_i + b_k, v_i = W_v u_i; weights = softmax(dropout(q·k_i) / T); no 1/sqrt(H).
struct FusionLayer {
  std::optional<Linear> query, key, value;  // [H, H]; value without bias
};

// A value with shared tensor handles, like Adapter. One set of weights serves any subset and order of adapters.
struct Fusion {
  std::string name;                   // in keys; by default the members joined by commas
  std::vector<std::string> adapters;  // the members, in order
  FusionConfig config;
  // layers[layer][site]; the library has one in every layer at the sites that all members have, left-out layers too.
  std::vector<std::array<std::optional<FusionLayer>, 2>> layers;

  [[nodiscard]] const FusionLayer* at(std::int64_t layer, Site site) const;
  [[nodiscard]] Parameters parameters(const ModelConfig& model) const;
};

// Softmax weights of one fusion at one place, without gradient. adapters[i] names column i: the children that are
// present in this layer, in the order of the Fuse.
struct FusionAttention {
  std::int64_t layer = 0;
  Site site = Site::output;
  std::string fusion;
  std::vector<std::string> adapters;
  at::Tensor weights;  // [B, T, adapters.size()]; pads included
};

// A fresh fusion over adapters that agree on their sites, drawn in the library's order: W_q, W_k ~ N(0, 0.02), biases
// 0; W_v = identity with 1e-6 beside the diagonal. Tensors require gradients.
Result<Fusion> make_fusion(const std::string& name, const FusionConfig& config, const std::vector<Adapter>& members,
                           const ModelConfig& model, at::Generator& generator);

// Strict, like adapter_from_tensors. Sites are those for which `tensors` has keys; each must be complete.
Result<Fusion> fusion_from_tensors(const std::string& name, const FusionConfig& config,
                                   const std::vector<std::string>& adapters, const ModelConfig& model,
                                   const NamedTensors& tensors);

// 0.01 · Σ ‖I − W_v‖²_F over the layers ≥ `first_layer` whose W_v requires a gradient; undefined if there is none.
// Its gradient belongs to the optimizer step, before clipping (as the paper's code; DESIGN's default).
at::Tensor fusion_regularization(const Fusion& fusion, std::int64_t first_layer = 0);

}  // namespace fathom::trainer
