// The frozen base as the packed engine reads it: raw pointers, matrices packed for its products, and query, key and
// value as one matrix. Made once per base and precision and shared by all jobs on it. Thread: compute thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "trainer/model/base_model.hpp"
#include "trainer/model/precision.hpp"

namespace fathom::trainer::packed {

// Which way rows go through a matrix W [out, in]: x [rows, in] becomes x Wᵀ, a gradient d [rows, out] becomes d W.
enum class Way { forward, backward };

// A matrix W [out, in] packed for products at one precision, each way when it is first gone.
class FrozenMatrix {
 public:
  FrozenMatrix() = default;
  FrozenMatrix(at::Tensor weight, Precision precision) : weight_(std::move(weight)), precision_(precision) {}

  [[nodiscard]] std::int64_t in() const { return weight_.size(1); }
  [[nodiscard]] std::int64_t out() const { return weight_.size(0); }
  [[nodiscard]] Precision precision() const { return precision_; }
  // As Products::pack() lays it.
  [[nodiscard]] const float* packed(Way way) const;

 private:
  at::Tensor weight_;
  Precision precision_ = Precision::fp32;
  mutable at::Tensor packed_[2];
};

struct FrozenLinear {
  FrozenMatrix weight;
  const float* bias = nullptr;  // [out]
};

struct FrozenNorm {
  const float *gamma = nullptr, *beta = nullptr;
  float eps = 0;
};

struct FrozenLayer {
  FrozenMatrix qkv;    // [3 hidden, hidden]: query, key, value; in the last layer empty
  FrozenMatrix q, kv;  // the same apart: only the last layer's
  const float* qkv_bias = nullptr;
  FrozenLinear attention_output;
  FrozenNorm attention_norm;
  FrozenLinear intermediate, output;
  FrozenNorm output_norm;
};

class FrozenBase {
 public:
  // Precondition: float32 tensors on the CPU (see packed_covers()). Keeps the model alive.
  FrozenBase(std::shared_ptr<const BaseModel> model, Precision precision);

  [[nodiscard]] const BaseModel& model() const { return *model_; }
  [[nodiscard]] Precision precision() const { return precision_; }
  [[nodiscard]] const ModelConfig& config() const { return model_->config; }
  [[nodiscard]] const FrozenLayer& layer(std::int64_t index) const { return layers_[static_cast<std::size_t>(index)]; }
  // SHA-256 of everything that decides what the base makes of a row: weights, config, the kernels that compute it.
  [[nodiscard]] const std::string& digest() const;
  [[nodiscard]] const float* words() const { return words_; }
  [[nodiscard]] const float* types() const { return types_; }  // null: the model has none
  [[nodiscard]] const float* positions() const { return positions_; }
  [[nodiscard]] FrozenNorm embedding_norm() const { return embedding_norm_; }

 private:
  const float* hold(const at::Tensor& tensor);
  FrozenLinear hold(const Linear& linear) { return {matrix(linear.weight), hold(linear.bias)}; }
  [[nodiscard]] FrozenMatrix matrix(const at::Tensor& weight) const {
    return {weight.detach().contiguous(), precision_};
  }
  FrozenNorm hold(const LayerNorm& norm) { return {hold(norm.weight), hold(norm.bias), static_cast<float>(norm.eps)}; }

  std::shared_ptr<const BaseModel> model_;
  Precision precision_;
  std::vector<at::Tensor> held_;  // what the pointers point into
  std::vector<FrozenLayer> layers_;
  const float *words_ = nullptr, *types_ = nullptr, *positions_ = nullptr;
  FrozenNorm embedding_norm_;
  mutable std::string digest_;  // made when first asked for
};

}  // namespace fathom::trainer::packed
