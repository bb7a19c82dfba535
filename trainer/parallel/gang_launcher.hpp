// The process that the worker starts for a gang. It holds the worker's socket, runs the ranks under one mpirun and
// passes bytes between the socket and rank 0: mpirun hands no descriptors on. Thread: one. Nothing of it outlives the
// process: mpirun and with it the ranks are ended when it is killed.
#pragma once

#include <string>
#include <vector>

#include "common/result.hpp"

namespace fathom::trainer {

// Runs this program with `arguments` and `--gang-socket PATH` as so many ranks. `fd` is taken over. Returns mpirun's
// exit code, or 1 after a line on stderr when the gang could not be started or ended before rank 0 had come.
int lead_gang(int ranks, int fd, std::vector<std::string> arguments);

// Rank 0: the end of the socket at PATH. unavailable: the launcher is gone.
Result<int> connect_to_launcher(const std::string& path);

}  // namespace fathom::trainer
