// Weights in several files with an index, as transformers writes models beyond one file's size:
// {"metadata": {…}, "weight_map": {tensor: file}}. Thread: free function without state.
#pragma once

#include <filesystem>

#include "common/result.hpp"
#include "trainer/checkpoint/tensors.hpp"

namespace fathom::trainer {

// Every tensor of the files that the index names; safetensors or torch files, by their endings. Errors, each with the
// index's or the file's name: not_found for a file that is not there (and how many are); corrupt for an index that is
// no such object, names a tensor twice, names a file that is no shard beside it, or does not say the truth: a tensor
// that its file lacks, that stands in another file, or that no line of the index names.
Result<NamedTensors> read_shards(const std::filesystem::path& index);

}  // namespace fathom::trainer
