#include "trainer/packed/frozen.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include "common/sha256.hpp"
#include "trainer/packed/kernels.hpp"

namespace fathom::trainer::packed {

const float* FrozenMatrix::packed(Way way) const {
  auto& held = packed_[static_cast<int>(way)];
  if (!held.defined()) {
    const auto& products = products_of(precision_);
    const auto k = way == Way::forward ? in() : out(), n = way == Way::forward ? out() : in();
    const c10::NoGradGuard no_grad;
    held = at::empty({products.packed(n, k)}, at::kFloat);
    products.pack(held.mutable_data_ptr<float>(), weight_.const_data_ptr<float>(), n, k, way == Way::forward ? in() : 1,
                  way == Way::forward ? 1 : in());
  }
  return held.const_data_ptr<float>();
}

const float* FrozenBase::hold(const at::Tensor& tensor) {
  held_.push_back(tensor.detach().contiguous());
  return held_.back().const_data_ptr<float>();
}

const std::string& FrozenBase::digest() const {
  if (!digest_.empty()) return digest_;
  const auto& config = model_->config;
  Sha256 hash;
  // The version goes up whenever the arithmetic of the frozen part changes.
  hash.update(fmt::format("fathom prefix 1 {} {} {} {} {} {} {} {} {} {}", kernels().name, static_cast<int>(precision_),
                          config.model_type(), config.hidden, config.layers, config.heads, config.intermediate,
                          config.pad_token_id, static_cast<int>(config.activation), config.layer_norm_eps));
  for (const auto& parameter : model_->parameters()) {
    const auto tensor = parameter.value.detach().contiguous();
    hash.update(parameter.name);
    hash.update({static_cast<const char*>(tensor.const_data_ptr()), static_cast<std::size_t>(tensor.nbytes())});
  }
  digest_ = hash.hex();
  return digest_;
}

FrozenBase::FrozenBase(std::shared_ptr<const BaseModel> model, Precision precision)
    : model_(std::move(model)), precision_(precision) {
  const c10::NoGradGuard no_grad;
  for (const auto& layer : model_->layers) {
    auto& own = layers_.emplace_back();
    if (&layer == &model_->layers.back()) {
      own.q = matrix(layer.query.weight);
      own.kv = matrix(at::cat({layer.key.weight, layer.value.weight}));
    } else {
      own.qkv = matrix(at::cat({layer.query.weight, layer.key.weight, layer.value.weight}));
    }
    own.qkv_bias = hold(at::cat({layer.query.bias, layer.key.bias, layer.value.bias}));
    own.attention_output = hold(layer.attention_output);
    own.attention_norm = hold(layer.attention_norm);
    own.intermediate = hold(layer.intermediate);
    own.output = hold(layer.output);
    own.output_norm = hold(layer.output_norm);
  }
  words_ = hold(model_->word_embeddings);
  positions_ = hold(model_->position_embeddings);
  if (model_->type_embeddings.defined()) types_ = hold(model_->type_embeddings);
  embedding_norm_ = hold(model_->embedding_norm);
}

}  // namespace fathom::trainer::packed
