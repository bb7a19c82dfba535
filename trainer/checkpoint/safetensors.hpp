// safetensors files: 8-byte little-endian header length, JSON header {name: {dtype, shape, data_offsets}}, raw data.
// The reader trusts nothing: every length is checked against the file before it is used, and no allocation is larger
// than the file. All functions may be called from any thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "common/result.hpp"
#include "trainer/checkpoint/tensors.hpp"

namespace fathom::trainer {

struct SafetensorsFile {
  NamedTensors tensors;
  std::map<std::string, std::string> metadata;  // "__metadata__": free strings
};

// Maps the file and returns tensors that look into the mapping (copy-on-write: writing to them never reaches the file).
// The mapping lives as long as any of the tensors. Errors (Errc::corrupt): truncated file, header over 100 MB or not
// JSON, unknown dtype, offsets outside the file, overlapping or not covering the data, shape that does not match.
Result<SafetensorsFile> read_safetensors(const std::filesystem::path& file);

// The same over bytes in memory. `owner` keeps them alive for the tensors; `name` is used in error texts.
Result<SafetensorsFile> parse_safetensors(std::span<const std::byte> bytes, std::shared_ptr<void> owner,
                                          const std::string& name);

// Writes beside the target, flushes to disk and renames: the target is the old file or the new one, never a part.
// Tensors are written contiguous, in map order, data aligned to 8 bytes. Errors: resource_exhausted (disk full),
// permission_denied, invalid_argument (a dtype safetensors does not have).
Status write_safetensors(const std::filesystem::path& file, const NamedTensors& tensors,
                         const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace fathom::trainer
