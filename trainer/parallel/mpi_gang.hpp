// Gangs under mpirun (Open MPI). MPI is a module, libfathom_mpi.so beside the program, opened only here: a trainer that
// works alone needs none of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "trainer/parallel/gang.hpp"

namespace fathom::trainer {

// How many ranks mpirun has started this process with; 0 when it was not started by mpirun.
int ranks_of_mpirun();
// This process's own; 0 when it was not started by mpirun.
int rank_of_mpirun();

// Joins the ranks of the mpirun that started this process, or a gang of one where none did. Call once, on the compute
// thread, before any other thread computes. `device`: this rank's; sums of tensors on a GPU move
// through NCCL, all others through MPI. A rank ends with its mpirun from
// here on. unsupported: the module or a library of it is missing.
Result<std::shared_ptr<Gang>> join_mpirun(const std::string& device);

// The command that starts `program` with `arguments` as so many ranks on this machine, found by PATH.
std::vector<std::string> mpirun_command(int ranks, const std::string& program,
                                        const std::vector<std::string>& arguments);

// Replaces this process by that command. Returns only when it cannot: the reason.
Error exec_mpirun(int ranks, int argc, char** argv);

}  // namespace fathom::trainer
