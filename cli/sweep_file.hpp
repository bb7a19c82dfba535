// A sweep file on this machine: read, with the files it includes, checked and expanded. Thread: free functions.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "common/result.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::cli {

struct CheckedSweep {
  std::string yaml;                             // the file's text
  std::map<std::string, std::string> includes;  // texts of the included files by the name the parser asks for
  std::vector<sweeps::Diagnostic> errors;       // empty: `plan` is valid
  std::size_t more = 0;                         // mistakes beyond those in `errors`
  std::vector<std::string> notes;               // what could not be checked here; also among those of `plan`
  sweeps::Plan plan;
};

// The mistakes as people read them, one below the other.
std::string mistakes_text(const std::vector<sweeps::Diagnostic>& errors, std::size_t more);

// Error: the file cannot be read, or makes more jobs than are allowed. Mistakes in it are in `errors`.
Result<CheckedSweep> check_sweep(const SweepFile& options);

}  // namespace fathom::cli
