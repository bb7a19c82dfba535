#include "trainer/packed/frozen.hpp"

#include <ATen/ops/cat.h>
#include <c10/core/GradMode.h>

namespace fathom::trainer::packed {

const float* FrozenBase::hold(const at::Tensor& tensor) {
  held_.push_back(tensor.detach().contiguous());
  return held_.back().const_data_ptr<float>();
}

FrozenBase::FrozenBase(std::shared_ptr<const BaseModel> model) : model_(std::move(model)) {
  const c10::NoGradGuard no_grad;
  for (const auto& layer : model_->layers) {
    const Linear qkv = {at::cat({layer.query.weight, layer.key.weight, layer.value.weight}),
                        at::cat({layer.query.bias, layer.key.bias, layer.value.bias})};
    layers_.push_back({hold(qkv), hold(layer.attention_output), hold(layer.attention_norm), hold(layer.intermediate),
                       hold(layer.output), hold(layer.output_norm)});
  }
  words_ = hold(model_->word_embeddings);
  positions_ = hold(model_->position_embeddings);
  if (model_->type_embeddings.defined()) types_ = hold(model_->type_embeddings);
  embedding_norm_ = hold(model_->embedding_norm);
}

}  // namespace fathom::trainer::packed
