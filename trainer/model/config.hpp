// What a Hugging Face config.json says about a BERT, RoBERTa or MPNet encoder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.hpp"
#include "trainer/model/activation.hpp"

namespace fathom::trainer {

// bert: absolute positions from 0. roberta: positions start at pad_token_id + 1 and do not advance on pads; pad id 1.
// mpnet: as roberta with pad id 1 always, no token types, and a bias on the attention scores by relative position.
enum class ModelFamily { bert, roberta, mpnet };

struct ModelConfig {
  ModelFamily family = ModelFamily::bert;
  std::string name;  // last part of the folder's path; written as model_name into saved adapters (never a local path)
  std::int64_t hidden = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t intermediate = 0;
  std::int64_t vocabulary = 0;
  std::int64_t positions = 0;    // rows of the position table; roberta can use positions - pad_token_id - 1 of them
  std::int64_t token_types = 0;  // mpnet: none
  std::int64_t relative_buckets = 0;  // mpnet: rows of the relative attention bias
  std::int64_t pad_token_id = 0;
  double layer_norm_eps = 1e-12;
  double hidden_dropout = 0.1;
  double attention_dropout = 0.1;
  std::optional<double> classifier_dropout;
  double initializer_range = 0.02;  // standard deviation of fresh heads
  Activation activation = Activation::gelu;

  // "bert.", "roberta.", "mpnet.": before every key of adapters and fusions in files.
  [[nodiscard]] const char* prefix() const;
  [[nodiscard]] const char* model_type() const;
  // The class of the `adapters` package that loads heads saved for this model (it has none for MPNet; the name is what
  // it would be).
  [[nodiscard]] const char* model_class() const;
  // The id that counts as padding where positions are counted. Precondition: not bert, whose positions ignore padding.
  [[nodiscard]] std::int64_t position_pad() const { return family == ModelFamily::mpnet ? 1 : pad_token_id; }
  // Longest sequence the position table allows.
  [[nodiscard]] std::int64_t max_length() const {
    return family == ModelFamily::bert ? positions : positions - position_pad() - 1;
  }
};

// Reads FOLDER/config.json. Errors: not_found; invalid_argument for a family other than these three, a missing
// key, sizes that do not fit together (hidden not divisible by heads, more than 64 layers), relative positions.
Result<ModelConfig> read_model_config(const std::filesystem::path& folder);
// The same of the file's text; `file` is used in messages. The config has no name.
Result<ModelConfig> parse_model_config(std::string_view text, const std::string& file);

// Error with both numbers if a tokenizer of `size` entries does not fit the embedding table.
Status check_tokenizer(const ModelConfig& config, std::int64_t size);

}  // namespace fathom::trainer
