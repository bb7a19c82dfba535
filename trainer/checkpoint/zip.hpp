// The part of zip that torch files use: stored (uncompressed) entries. Bounds-checked, no allocation beyond the names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace fathom::trainer {

using Bytes = std::span<const std::byte>;

// Entry name → its bytes inside `file` (views). Zip64 sizes are understood. Errors: no central directory, entries that
// are compressed, encrypted or outside the file, the same name twice. `name` is used in error texts.
Result<std::map<std::string, Bytes, std::less<>>> read_stored_zip(Bytes file, const std::string& name);

// Builds an archive in memory; entry data starts at multiples of 64 bytes, as torch writes them (for mmap).
class ZipWriter {
 public:
  // Precondition: the whole archive stays below 4 GiB (zip64 is not written); check with `fits`.
  void add(std::string_view name, std::string_view data);
  [[nodiscard]] static bool fits(std::uint64_t bytes) { return bytes < 0xF0000000u; }
  // The finished archive; the writer is spent.
  [[nodiscard]] std::string finish();

 private:
  std::string out_;
  std::string directory_;
  std::uint16_t entries_ = 0;
};

}  // namespace fathom::trainer
