// Tokenised splits in files that the trainers of a host map, so that a split is tokenised once for its data, tokenizer
// and limits, and lies in memory once. A file is written whole and renamed; one whose checksum does not fit is made
// anew. Thread: any.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "trainer/engine/resources.hpp"

namespace fathom::trainer {

// The split that was saved under `key` (64 hex digits); null when there is none or it is damaged. Rows, labels, whether
// it is a regression and how many rows were left out; data_sha256 and `more` are the caller's. Locked (shared) as long
// as its rows live: whoever wants the disk sees that.
std::shared_ptr<OpenTask> load_rows(const std::filesystem::path& folder, const std::string& key);

// Saves it, unless the folder's files would have more than `limit` bytes then. A failure is no error: the split is
// tokenised again next time.
void save_rows(const std::filesystem::path& folder, const std::string& key, const OpenTask& task, std::uint64_t limit);

}  // namespace fathom::trainer
