// The safetensors reader on arbitrary bytes. What it accepts must be readable to the last byte of every tensor.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <ATen/core/Tensor.h>

#include "trainer/checkpoint/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A heap copy of exact size, so that the sanitizer sees every byte beyond it.
  const auto copy = std::make_shared<std::string>(reinterpret_cast<const char*>(data), size);
  const auto file = fathom::trainer::parse_safetensors(std::as_bytes(std::span(*copy)), copy, "fuzz");
  if (!file) return 0;
  volatile std::uint8_t sink = 0;
  for (const auto& [name, tensor] : file->tensors) {
    const auto* bytes = static_cast<const std::uint8_t*>(tensor.const_data_ptr());
    for (std::size_t i = 0; i < tensor.nbytes(); ++i) sink = sink ^ bytes[i];
  }
  return 0;
}
