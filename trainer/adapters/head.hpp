// Prediction heads of `adapters`' flexible models: classification and, with one label, regression.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "common/result.hpp"
#include "trainer/adapters/adapter.hpp"
#include "trainer/model/dropout.hpp"

namespace fathom::trainer {

// The eight keys of head_config.json (head_type "classification").
struct HeadConfig {
  std::int64_t num_labels = 2;  // 1 = regression: MSE on the logit
  std::int64_t layers = 2;      // 2: dropout, dense, activation, dropout, out; 1: dropout, out
  std::optional<std::string> activation_function = "tanh";
  std::vector<std::string> labels;  // name of label i; empty = LABEL_0, LABEL_1, …
  bool use_pooler = false;
  bool bias = true;                    // of the last linear
  std::optional<double> dropout_prob;  // null: classifier_dropout, else hidden_dropout of the model
};

Result<HeadConfig> head_config_from_json(const nlohmann::json& config);
nlohmann::json to_json(const HeadConfig& config);

// A value with shared tensor handles. linears: module index in the head (part of the key) → weights.
struct Head {
  std::string name;
  HeadConfig config;
  std::map<std::int64_t, Linear> linears;

  // Keys heads.NAME.INDEX.weight|bias, without a base prefix.
  [[nodiscard]] Parameters parameters() const;
};

// Fresh weights: N(0, initializer_range), bias 0, in the library's RNG order. Tensors require gradients.
Result<Head> make_head(const std::string& name, const HeadConfig& config, const ModelConfig& model,
                       at::Generator& generator);

// Strict, like adapter_from_tensors: keys of another head in the file are an error that names it.
Result<Head> head_from_tensors(const std::string& name, const HeadConfig& config, const ModelConfig& model,
                               const NamedTensors& tensors);

// Logits [B, num_labels] from last_hidden_state [B, T, H]. `dropout` null = eval mode. Precondition: a pooler in the
// model when config.use_pooler (std::invalid_argument).
at::Tensor head_logits(const Head& head, const BaseModel& model, const at::Tensor& last_hidden_state,
                       const DropoutSource* dropout = nullptr);

// Mean loss over the batch: cross entropy with int64 labels [B], or mean squared error with float targets [B].
at::Tensor head_loss(const Head& head, const at::Tensor& logits, const at::Tensor& labels);

}  // namespace fathom::trainer
