// A trained tensor under the name it has in an AdapterHub file. Shared by the optimizer, clipping and checkpoints.
// Ownership: `value` is a handle to the same storage that the model computes with.
#pragma once

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace fathom::trainer {

struct Parameter {
  std::string name;   // e.g. "bert.encoder.layer.0.output.adapters.mr.adapter_up.weight"; unique within a job
  at::Tensor value;   // requires_grad, a leaf; its gradient is undefined when the last pass did not reach it
  bool decay = true;  // weight decay acts on it
};

// The Hugging Face rule: biases and LayerNorm weights do not decay. A LayerNorm weight is known by its shape: it is the
// only one-dimensional tensor called "weight".
bool decays(const std::string& name, const at::Tensor& value);

// Wraps named tensors as parameters with the rule above.
std::vector<Parameter> parameters_of(const std::vector<std::pair<std::string, at::Tensor>>& named);

// Every tensor once, under the first of its names: weights that several layers share are one parameter with one
// gradient.
std::vector<Parameter> each_once(const std::vector<Parameter>& parameters);

// Forgets every gradient (undefined, not zero): what the next pass does not reach is then left alone by the optimizer.
void clear_gradients(const std::vector<Parameter>& parameters);

}  // namespace fathom::trainer
