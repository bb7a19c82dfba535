// The command line of `fathom`: options and help texts. Thread: the main thread.
#pragma once

#include <string>

namespace fathom::cli {

// Parses and runs. Exit codes: 0 done, 1 failure (one message on stderr), 2 wrong usage.
int run_app(int argc, char** argv, const std::string& version);

}  // namespace fathom::cli
