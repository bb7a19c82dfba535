// One logger for a program: structured lines (logfmt) on stderr or in a file. Libraries call spdlog's macros-free
// functions (spdlog::info("lease expired job={} attempt={}", …)); only programs call init_log, once, before threads
// start.
#pragma once

#include <string>

#include "common/result.hpp"

namespace fathom {

struct LogOptions {
  std::string program;         // named in each line
  std::string level = "info";  // trace | debug | info | warn | error
  std::string file;            // empty: stderr
  bool json = false;           // one JSON object a line instead of logfmt
};

// Error: unknown level, or the file cannot be opened.
Status init_log(const LogOptions& options);

}  // namespace fathom
