// libfathom_mpi.so: built where Open MPI's headers are.
#include "trainer/mpi/mpi_module.hpp"

#include <mpi.h>

#include <algorithm>
#include <array>

namespace fathom::trainer {
namespace {

// MPI counts in int: longer arrays go in pieces.
constexpr std::size_t kMost = std::size_t{1} << 30;

const char* words(int code) {
  if (code == MPI_SUCCESS) return nullptr;
  static std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  return text.data();
}

const char* start() {
  int granted = 0;
  // The compute thread alone calls MPI; others (the socket's, OpenMP's) exist beside it.
  if (const char* failed = words(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &granted))) return failed;
  return granted < MPI_THREAD_FUNNELED ? "this MPI allows no threads" : nullptr;
}

const char* finish() { return words(MPI_Finalize()); }

int rank() {
  int value = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &value);
  return value;
}

int size() {
  int value = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &value);
  return value;
}

template <class T>
const char* sum(T* values, std::size_t count, MPI_Datatype type) {
  for (std::size_t at = 0; at < count; at += kMost) {
    const int part = static_cast<int>(std::min(kMost, count - at));
    // To one rank and back out: every rank gets the very same bits, whatever algorithm MPI would pick for both in one.
    void* mine = values + at;
    const int reduced = rank() == 0 ? MPI_Reduce(MPI_IN_PLACE, mine, part, type, MPI_SUM, 0, MPI_COMM_WORLD)
                                    : MPI_Reduce(mine, nullptr, part, type, MPI_SUM, 0, MPI_COMM_WORLD);
    if (const char* failed = words(reduced)) return failed;
    if (const char* failed = words(MPI_Bcast(mine, part, type, 0, MPI_COMM_WORLD))) return failed;
  }
  return nullptr;
}

const char* sum_floats(float* values, std::size_t count) { return sum(values, count, MPI_FLOAT); }
const char* sum_doubles(double* values, std::size_t count) { return sum(values, count, MPI_DOUBLE); }

const char* share(void* bytes, std::size_t count) {
  auto* first = static_cast<char*>(bytes);
  for (std::size_t at = 0; at < count; at += kMost) {
    const int part = static_cast<int>(std::min(kMost, count - at));
    if (const char* failed = words(MPI_Bcast(first + at, part, MPI_BYTE, 0, MPI_COMM_WORLD))) return failed;
  }
  return nullptr;
}

void abort(int code) { MPI_Abort(MPI_COMM_WORLD, code); }

}  // namespace
}  // namespace fathom::trainer

extern "C" __attribute__((visibility("default"))) const fathom::trainer::MpiEntry fathom_mpi_entry;
extern "C" const fathom::trainer::MpiEntry fathom_mpi_entry = {
    fathom::trainer::kMpiAbi,      &fathom::trainer::start, &fathom::trainer::finish,
    &fathom::trainer::rank,        &fathom::trainer::size,  &fathom::trainer::sum_floats,
    &fathom::trainer::sum_doubles, &fathom::trainer::share, &fathom::trainer::abort};
