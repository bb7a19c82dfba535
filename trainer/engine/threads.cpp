#include "trainer/engine/threads.hpp"

#include <malloc.h>

#include <cstdlib>

#include <ATen/Parallel.h>

#ifndef INTRA_OP_PARALLEL
#error "compile this file with OpenMP: without it every pass has one thread"
#endif

namespace fathom::trainer {

void prepare_numerics() {
  // Without a fixed code path MKL picks kernels by the alignment of its arguments, and allocations are not always
  // aligned alike: a resumed run could differ in the last bit. A value set by the user is kept.
  ::setenv("MKL_CBWR", "AUTO,STRICT", 0);
  ::setenv("MKL_DYNAMIC", "FALSE", 0);
  // Activations come and go with every pass: memory that goes back to the system each time costs a page fault each
  // time.
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

void set_threads(int threads) {
  at::set_num_threads(threads);
  at::set_num_interop_threads(1);
}

void share_out(std::int64_t count, std::int64_t grain, c10::function_ref<void(std::int64_t, std::int64_t)> body) {
  at::parallel_for(0, count, grain, body);
}

}  // namespace fathom::trainer
