// The torch file reader on arbitrary bytes: as a whole file (zip or old format), and its pickle machine alone, which a
// random zip would hardly reach.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <ATen/core/Tensor.h>

#include "trainer/checkpoint/torch_file.hpp"
#include "trainer/checkpoint/zip.hpp"

namespace {

void read(std::span<const std::byte> bytes) {
  const auto tensors = fathom::trainer::parse_torch_file(bytes, "fuzz");
  if (!tensors) return;
  for (const auto& [name, tensor] : *tensors) {
    // Views stay inside their storage, so this touches only memory that the reader made.
    if (tensor.numel() <= 1 << 20) (void)tensor.contiguous();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string copy(reinterpret_cast<const char*>(data), size);
  read(std::as_bytes(std::span(copy)));
  // The same bytes as data.pkl of a sound archive with two storages.
  fathom::trainer::ZipWriter zip;
  zip.add("a/data.pkl", copy);
  zip.add("a/data/0", std::string(64, '\1'));
  zip.add("a/data/1", std::string(64, '\2'));
  const std::string archive = zip.finish();
  read(std::as_bytes(std::span(archive)));
  return 0;
}
