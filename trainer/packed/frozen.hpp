// The frozen base as the packed engine reads it: raw pointers, and query, key and value as one matrix. Made once per
// base and shared by all jobs on it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "trainer/model/base_model.hpp"

namespace fathom::trainer::packed {

struct FrozenLinear {
  const float* weight = nullptr;  // [out, in]
  const float* bias = nullptr;    // [out]
};

struct FrozenNorm {
  const float *gamma = nullptr, *beta = nullptr;
  float eps = 0;
};

struct FrozenLayer {
  FrozenLinear qkv;  // [3 hidden, hidden]: query, key, value
  FrozenLinear attention_output;
  FrozenNorm attention_norm;
  FrozenLinear intermediate, output;
  FrozenNorm output_norm;
};

class FrozenBase {
 public:
  // Precondition: float32 tensors on the CPU (see packed_covers()). Keeps the model alive.
  explicit FrozenBase(std::shared_ptr<const BaseModel> model);

  [[nodiscard]] const BaseModel& model() const { return *model_; }
  [[nodiscard]] const ModelConfig& config() const { return model_->config; }
  [[nodiscard]] const FrozenLayer& layer(std::int64_t index) const { return layers_[static_cast<std::size_t>(index)]; }
  [[nodiscard]] const float* words() const { return words_; }
  [[nodiscard]] const float* types() const { return types_; }  // null: the model has none
  [[nodiscard]] const float* positions() const { return positions_; }
  [[nodiscard]] FrozenNorm embedding_norm() const { return embedding_norm_; }

 private:
  const float* hold(const at::Tensor& tensor);
  FrozenLinear hold(const Linear& linear) { return {hold(linear.weight), hold(linear.bias)}; }
  FrozenNorm hold(const LayerNorm& norm) { return {hold(norm.weight), hold(norm.bias), static_cast<float>(norm.eps)}; }

  std::shared_ptr<const BaseModel> model_;
  std::vector<at::Tensor> held_;  // what the pointers point into
  std::vector<FrozenLayer> layers_;
  const float *words_ = nullptr, *types_ = nullptr, *positions_ = nullptr;
  FrozenNorm embedding_norm_;
};

}  // namespace fathom::trainer::packed
