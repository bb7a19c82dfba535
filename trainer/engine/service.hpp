// fathom-trainer as a child of the worker: frames over a socketpair in, items out. Two threads: one reads the socket
// and says Alive, the other (the caller's) computes. It ends when the worker's end closes or asks it to.
#pragma once

#include <filesystem>
#include <string>

#include "trainer/engine/engine_kind.hpp"
#include "trainer/parallel/gang.hpp"

namespace fathom::trainer {

struct ServiceOptions {
  int fd = -1;                 // connected stream socket; taken over. Ranks 1, 2, … of a gang have none
  std::string device = "cpu";  // as the worker names it, "cpu:0"
  std::string version;         // of this program, for the worker's log
  std::filesystem::path root;  // data root: models and tasks are relative to it
  EngineKind engine = EngineKind::packed;
  PrefixOptions prefix = {};
};

// The number of compute threads is set by the caller beforehand (set_threads) and stays: same threads, same bits.
// In a gang every rank serves: rank 0 speaks with the worker and tells the others what to do, pass by pass.
// Runs until the socket closes or Shutdown comes. Returns the program's exit code: 0, or 1 when the hello cannot be
// sent.
int serve(const ServiceOptions& options, Gang& gang = alone());

}  // namespace fathom::trainer
