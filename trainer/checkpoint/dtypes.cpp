#include "trainer/checkpoint/dtypes.hpp"

#include <algorithm>
#include <array>

namespace fathom::trainer {
namespace {

constexpr std::array<DType, 9> kTypes = {{{at::kFloat, 4, "F32", "FloatStorage"},
                                          {at::kDouble, 8, "F64", "DoubleStorage"},
                                          {at::kHalf, 2, "F16", "HalfStorage"},
                                          {at::kBFloat16, 2, "BF16", "BFloat16Storage"},
                                          {at::kLong, 8, "I64", "LongStorage"},
                                          {at::kInt, 4, "I32", "IntStorage"},
                                          {at::kShort, 2, "I16", "ShortStorage"},
                                          {at::kByte, 1, "U8", "ByteStorage"},
                                          {at::kBool, 1, "BOOL", "BoolStorage"}}};

template <class Predicate>
const DType* find(const Predicate& matches) {
  const auto found = std::find_if(kTypes.begin(), kTypes.end(), matches);
  return found == kTypes.end() ? nullptr : &*found;
}

}  // namespace

const DType* dtype_by_type(at::ScalarType type) {
  return find([&](const DType& d) { return d.type == type; });
}

const DType* dtype_by_safetensors(std::string_view name) {
  return find([&](const DType& d) { return name == d.safetensors; });
}

const DType* dtype_by_storage(std::string_view name) {
  return find([&](const DType& d) { return name == d.storage; });
}

std::optional<std::uint64_t> byte_size(const std::vector<std::int64_t>& shape, const DType& dtype) {
  constexpr std::uint64_t kLimit = std::uint64_t{1} << 62;
  std::uint64_t bytes = dtype.size;
  for (const std::int64_t size : shape) {
    if (size < 0) return std::nullopt;
    // Sizes of 0 make an empty tensor whatever the others are, but the others must still be sane.
    if (static_cast<std::uint64_t>(size) > kLimit) return std::nullopt;
    if (size != 0 && bytes > kLimit / static_cast<std::uint64_t>(size)) return std::nullopt;
    bytes *= static_cast<std::uint64_t>(size);
  }
  return bytes;
}

}  // namespace fathom::trainer
