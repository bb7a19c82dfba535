// One job out of a file, without coordinator and worker: `fathom-trainer train`.
// Thread: compute thread.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>

#include "trainer/engine/engine_kind.hpp"

namespace fathom::trainer {

struct TrainFileOptions {
  std::filesystem::path job;     // YAML or JSON: the job's settings (docs/protocol.md "settings")
  std::filesystem::path root;    // data root: models and tasks are relative to it
  std::filesystem::path folder;  // of the job: inputs/ and resume.ckpt are read, checkpoints/ and final/ written
  std::filesystem::path inputs;  // file with the inputs' JSON; may be empty
  std::filesystem::path trace;   // one JSON line per optimizer step is written here; may be empty
  bool json = false;             // items, metric batches and log lines as lines of JSON, as a worker sees them
  std::string device = "cpu";
  EngineKind engine = EngineKind::packed;
  PrefixOptions prefix = {};
};

// Runs the job with the same runner as under a worker: what is debugged here is what runs there. Writes its log (or,
// with json, everything it says) to `out`. Returns 0 when the job finished, 1 when it failed (the sentence goes to
// stderr) or a file cannot be read or written.
int train_file(const TrainFileOptions& options, std::ostream& out);

}  // namespace fathom::trainer
