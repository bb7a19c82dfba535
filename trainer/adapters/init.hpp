// Random initialisation with torch's own draws, in the order in which the library makes them.
#pragma once

#include <cstdint>

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "trainer/model/base_model.hpp"

namespace fathom::trainer {

// nn.Linear(in, out, bias): Kaiming-uniform weight, uniform bias, both in ±1/sqrt(in). float32, no gradient.
Linear default_linear(std::int64_t in, std::int64_t out, bool bias, at::Generator& generator);

// init_bert_weights: weight N(0, std), bias 0. std of adapters and fusions is 0.02, of heads the model's.
void redraw_normal(Linear& linear, double std, at::Generator& generator);

// Kaiming-uniform with a = sqrt(5) again, bias 0 (the down projection of mam_adapter).
void redraw_kaiming(Linear& linear, at::Generator& generator);

// Normal with standard deviation 0.01 cut at ±0.02, bias 0 (houlsby).
void redraw_truncated(Linear& linear, at::Generator& generator);

}  // namespace fathom::trainer
