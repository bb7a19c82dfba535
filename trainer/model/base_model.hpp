// The frozen encoder: weights of a BERT, RoBERTa or MPNet model, shared by every job of the process.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "common/result.hpp"
#include "trainer/checkpoint/tensors.hpp"
#include "trainer/model/config.hpp"

namespace fathom::trainer {

// y = x weightᵀ + bias; weight [out, in].
struct Linear {
  at::Tensor weight;
  at::Tensor bias;  // may be undefined
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
};

struct LayerNorm {
  at::Tensor weight;
  at::Tensor bias;
  double eps = 1e-12;
  [[nodiscard]] at::Tensor operator()(const at::Tensor& x) const;
};

struct EncoderLayer {
  Linear query, key, value, attention_output;
  LayerNorm attention_norm;
  Linear intermediate, output;
  LayerNorm output_norm;
};

// Plain data; the tensors do not require gradients unless the caller says so (full fine-tuning works on a clone()).
// Reading from many threads at once is fine.
struct BaseModel {
  ModelConfig config;
  at::Tensor word_embeddings;      // [vocabulary, hidden]
  at::Tensor position_embeddings;  // [positions, hidden]
  at::Tensor type_embeddings;      // [token_types, hidden]; undefined: MPNet
  at::Tensor relative_bias;        // [relative_buckets, heads], of every layer; undefined but in MPNet
  LayerNorm embedding_norm;
  std::vector<EncoderLayer> layers;
  std::optional<Linear> pooler;  // absent in many RoBERTa files

  // Every tensor with its file key under the family's prefix.
  [[nodiscard]] Parameters parameters() const;
  // Deep copy, for full fine-tuning: set requires_grad on its parameters().
  [[nodiscard]] BaseModel clone() const;
  // The model with its tensors there.
  [[nodiscard]] BaseModel to(at::Device device) const;
};

// Reads config.json and model.safetensors (else pytorch_model.bin, each also in shards with their index) of a Hugging
// Face folder; keys with or without the
// family's prefix, old LayerNorm.gamma/beta names, weights of any float type (converted to float32). Keys of heads and
// position_ids are ignored. One error per problem: missing file, truncated file, missing tensor or wrong shape (with
// the key, what was expected and what is there).
Result<std::shared_ptr<const BaseModel>> load_base_model(const std::filesystem::path& folder);

// The same from tensors in memory.
Result<BaseModel> make_base_model(const ModelConfig& config, const NamedTensors& tensors);

// A model of these sizes that was never trained, as transformers initialises one: weights N(0, initializer_range),
// biases 0, LayerNorms 1 and 0. Always the same one. With a pooler.
BaseModel random_base_model(const ModelConfig& config);

}  // namespace fathom::trainer
