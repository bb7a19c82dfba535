// One job without a worker, for tests and debugging: `fathom-trainer run-job`.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>

namespace fathom::trainer {

struct RunJobOptions {
  std::filesystem::path root;      // data root
  std::filesystem::path settings;  // file with the settings' JSON
  std::filesystem::path folder;    // of the job: inputs/ and resume.ckpt are read, checkpoints/ and final/ written
  std::filesystem::path inputs;    // file with the inputs' JSON; may be empty
  std::string device = "cpu";
};

// Writes each item, metric batch and log line as one line of JSON. Returns 0 when the job finished, 1 when it failed.
int run_job(const RunJobOptions& options, std::ostream& out);

}  // namespace fathom::trainer
