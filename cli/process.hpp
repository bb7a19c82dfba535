// Child processes of `fathom up`. Thread: the thread that calls start_process() must live as long as the child, which
// is ended by the kernel (SIGTERM) when that thread's process dies.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/result.hpp"

namespace fathom::cli {

// Runs arguments[0] with output and errors appended to `log`. not_found when there is no such program.
Result<pid_t> start_process(const std::vector<std::string>& arguments, const std::string& log);

// "ended with exit code 1", "was killed by signal 9 (Killed)", from waitpid's status.
std::string describe_exit(int status);

// The last lines of a log that say something went wrong; the last line of any kind where none does.
std::string last_words(const std::string& log);

// A log that has grown beyond 16 MiB becomes FILE.1 (one older generation is kept).
void rotate_log(const std::string& log);

}  // namespace fathom::cli
