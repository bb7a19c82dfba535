// Heads of transformers' own sequence classifiers ("classifier.*" of BertForSequenceClassification and its RoBERTa
// twin), which the library and its predecessors save beside adapters: read as the flexible heads that compute the same.
// Source: STATIC_TO_FLEX_HEAD_MAP of the library. Thread: free functions without state.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "common/result.hpp"
#include "trainer/checkpoint/tensors.hpp"
#include "trainer/model/config.hpp"

namespace fathom::trainer {

// Whether a head_config.json is one of those: its model_class says so, and it has no config of its own.
bool is_static_head(const nlohmann::json& file, const ModelConfig& model);

// The head_config.json of the flexible head `name`.
nlohmann::json flexible_head(const nlohmann::json& file, const std::string& name, const ModelConfig& model);

// Its tensors: classifier.* under the keys heads.NAME.INDEX.*; others stay, to be reported as unexpected.
NamedTensors flexible_tensors(const NamedTensors& tensors, const std::string& name, const ModelConfig& model);

}  // namespace fathom::trainer
