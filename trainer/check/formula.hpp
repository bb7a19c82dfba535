// Starting weights that reference data do not store: every tensor is a hash of its place (docs/reference-data.md), so
// that a run on a large model needs no large files. Thread: free functions without state.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/engine/network.hpp"

namespace fathom::trainer::check {

// What is to be made; everything else is the library's defaults.
struct FormulaParts {
  std::vector<std::string> adapters;  // seq_bn, or double_seq_bn with `both_sites`
  std::string fusion;                 // dynamic, or static without `value`; empty: none, the first adapter trains
  std::string head;
  std::int64_t head_layers = 1;
  std::int64_t outputs = 2;  // labels; 1 is a regression
  bool both_sites = false;
  bool value = true;
};

// The names of a trajectory's trained tensors tell the parts' forms.
void derive_forms(const std::vector<std::string>& trained, FormulaParts& parts);

// Adapters, fusion and head with the formula's weights, as setup and head of a network on `base`; nothing is trained
// yet. Numbering: all file keys in byte order, c = 0, 1, …; entry j (row-major) of tensor c is the hash of
// uint32(j + 1000003 c), mapped to ±0.035; fusion value matrices are that plus the identity. CheckError: names that the
// library could not hold.
Network formula_network(const FormulaParts& parts, const std::shared_ptr<const BaseModel>& base);

}  // namespace fathom::trainer::check
