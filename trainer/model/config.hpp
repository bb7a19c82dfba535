// What a Hugging Face config.json says about a BERT or RoBERTa encoder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "common/result.hpp"
#include "trainer/model/activation.hpp"

namespace fathom::trainer {

// bert: absolute positions from 0. roberta: positions start at pad_token_id + 1 and do not advance on pads; pad id 1.
enum class ModelFamily { bert, roberta };

struct ModelConfig {
  ModelFamily family = ModelFamily::bert;
  std::string name;  // last part of the folder's path; written as model_name into saved adapters (never a local path)
  std::int64_t hidden = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t intermediate = 0;
  std::int64_t vocabulary = 0;
  std::int64_t positions = 0;  // rows of the position table; roberta can use positions - pad_token_id - 1 of them
  std::int64_t token_types = 0;
  std::int64_t pad_token_id = 0;
  double layer_norm_eps = 1e-12;
  double hidden_dropout = 0.1;
  double attention_dropout = 0.1;
  std::optional<double> classifier_dropout;
  double initializer_range = 0.02;  // standard deviation of fresh heads
  Activation activation = Activation::gelu;

  // "bert." / "roberta.": before every key of adapters and fusions in files.
  [[nodiscard]] const char* prefix() const { return family == ModelFamily::bert ? "bert." : "roberta."; }
  [[nodiscard]] const char* model_type() const { return family == ModelFamily::bert ? "bert" : "roberta"; }
  // The class of the `adapters` package that loads heads saved for this model.
  [[nodiscard]] const char* model_class() const {
    return family == ModelFamily::bert ? "BertAdapterModel" : "RobertaAdapterModel";
  }
  // Longest sequence the position table allows.
  [[nodiscard]] std::int64_t max_length() const {
    return family == ModelFamily::bert ? positions : positions - pad_token_id - 1;
  }
};

// Reads FOLDER/config.json. Errors: not_found; invalid_argument for a family other than bert and roberta, a missing
// key, sizes that do not fit together (hidden not divisible by heads, more than 64 layers), relative positions.
Result<ModelConfig> read_model_config(const std::filesystem::path& folder);

// Error with both numbers if a tokenizer of `size` entries does not fit the embedding table.
Status check_tokenizer(const ModelConfig& config, std::int64_t size);

}  // namespace fathom::trainer
