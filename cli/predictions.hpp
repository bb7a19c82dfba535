// predictions/ of a collected folder: what each collected model says about a split of its own task, computed by
// `fathom-trainer predict` from the base model and the data below the data root. Thread: the main thread.
#pragma once

#include <string>
#include <vector>

#include "cli/collected.hpp"
#include "cli/context.hpp"
#include "common/result.hpp"

namespace fathom::cli {

// That every job with a folder has its base model and its split below `root`: asked before anything is fetched.
// not_found says which file or folder is missing for which job, and what to do.
Status check_predictable(const std::vector<CollectedJob>& jobs, const std::string& split, const fs::path& root);

// Writes TOP/predictions/FOLDER.tsv for every job with a folder; its weights are in TOP/FOLDER. The error of the first
// that fails; what was written by then stays.
Status write_predictions(const Context& context, const std::vector<CollectedJob>& jobs, const std::string& split,
                         const fs::path& root, const fs::path& top);

}  // namespace fathom::cli
