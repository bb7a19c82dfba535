// Known tasks: file names, columns, labels and metric, as the data sets are published (GLUE: Wang et al. 2018; label
// order as in the usual loaders). Thread: constant data.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace fathom::sweeps {

// The task part of a job's settings (docs/protocol.md, "task") with file names relative to the preset's folder.
// Columns are names, or numbers from 1 where the file has no header. `name` is one that the schema knows.
nlohmann::json preset_task(const std::string& name);

}  // namespace fathom::sweeps
