// `fathom-trainer check`: reference data against this build. Thread: compute thread.
#pragma once

#include <filesystem>
#include <iosfwd>
#include <string>
#include <vector>

namespace fathom::trainer {

struct CheckOptions {
  std::filesystem::path folder;     // with manifest.json (docs/reference-data.md)
  std::string pattern;              // glob over the cases' ids; empty: all
  std::vector<std::string> models;  // NAME=DIR: base models that the folder does not hold
  bool json = false;                // one object a line instead of a table
};

// A line per case: passed, failed or skipped, its largest error and tolerance; then the counts. Returns 0 when none
// failed, 1 when one did or the folder cannot be read, 2 for wrong usage (a malformed NAME=DIR, a pattern that matches
// nothing). A case asked for by pattern that cannot run for want of its model counts as failed.
int run_check(const CheckOptions& options, std::ostream& out);

}  // namespace fathom::trainer
