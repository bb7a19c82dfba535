// The element types that weight files hold, under the names of each format.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <c10/core/ScalarType.h>

namespace fathom::trainer {

struct DType {
  at::ScalarType type;
  std::size_t size;         // bytes of an element
  const char* safetensors;  // "F32"
  const char* storage;      // "FloatStorage", the class in torch pickles; null where torch has none
};

// Null for types outside the table (quantised, complex, 8-bit floats).
const DType* dtype_by_type(at::ScalarType type);
const DType* dtype_by_safetensors(std::string_view name);
const DType* dtype_by_storage(std::string_view name);

// Product of the sizes in bytes; nothing if a size is negative or the product leaves 62 bits.
std::optional<std::uint64_t> byte_size(const std::vector<std::int64_t>& shape, const DType& dtype);

}  // namespace fathom::trainer
