// Tensors by name, as weight files hold them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "trainer/optim/parameter.hpp"

namespace fathom::trainer {

// File key → tensor, in byte order of the keys, which is the order in which files are written. The tensors are
// handles: copying the map shares the storage.
using NamedTensors = std::map<std::string, at::Tensor, std::less<>>;

// The trainable tensors of a module, named by their file keys. Order is that of the library's named_parameters(): layer
// by layer, attention before output, down before up. Sums over all parameters (the clipping norm) are taken in this
// order, so it is part of the bit-for-bit contract.
using Parameters = std::vector<Parameter>;

// The same tensors as a map for writing.
inline NamedTensors named(const Parameters& parameters) {
  NamedTensors out;
  for (const Parameter& p : parameters) out.emplace(p.name, p.value);
  return out;
}

}  // namespace fathom::trainer
