// `.bin` files as torch.save writes them: a zip of stored entries (ARCHIVE/data.pkl, ARCHIVE/data/0, …) whose pickle is
// a dict of tensors; the older format before torch 1.6 (bare pickles, then raw storages) is read as well. Nothing is
// executed: the reader knows the few pickle opcodes and globals that a dict of tensors needs and refuses all others.
// All functions may be called from any thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "common/result.hpp"
#include "trainer/checkpoint/tensors.hpp"

namespace fathom::trainer {

// Reads a dict or collections.OrderedDict of str → tensor. The tensors are copies. Errors (Errc::corrupt): not such a
// file, truncated, compressed entries, a global outside the whitelist (named in the text), sizes outside the storage.
Result<NamedTensors> read_torch_file(const std::filesystem::path& file);

// The same over bytes in memory; `name` is used in error texts.
Result<NamedTensors> parse_torch_file(std::span<const std::byte> bytes, const std::string& name);

// Writes a file that torch.load(weights_only=True) opens: plain dict, protocol 2, stored zip. Equal input gives equal
// bytes. `archive` is the folder name inside the zip. Atomic like write_safetensors; same errors.
Status write_torch_file(const std::filesystem::path& file, const NamedTensors& tensors);

}  // namespace fathom::trainer
