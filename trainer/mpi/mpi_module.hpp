// The door to MPI. libfathom_mpi.so is one module library beside fathom-trainer, opened with dlopen when mpirun has
// started the program. Thread: every function on the one thread that called start().
#pragma once

#include <cstddef>

namespace fathom::trainer {

// What the module exports under the C name "fathom_mpi_entry". `abi` must equal kMpiAbi. Functions that can fail return
// null, or what MPI says about the failure (a static text).
inline constexpr int kMpiAbi = 1;
struct MpiEntry {
  int abi;
  const char* (*start)();   // MPI_Init, once
  const char* (*finish)();  // MPI_Finalize: waits for all ranks
  int (*rank)();
  int (*size)();
  // In-place sums over all ranks, count numbers each.
  const char* (*sum_floats)(float* values, std::size_t count);
  const char* (*sum_doubles)(double* values, std::size_t count);
  // Rank 0's bytes to every rank.
  const char* (*share)(void* bytes, std::size_t size);
  // Ends all ranks with this exit code.
  void (*abort)(int code);
};

}  // namespace fathom::trainer
