// Settings of the process that passes depend on: threads, so that the same number gives the same bits, and memory.
#pragma once

#include <cstdint>

#include <c10/util/FunctionRef.h>

namespace fathom::trainer {

// Call first thing in main(): asks MKL for results that do not depend on memory addresses, before it is initialised,
// and the allocator to keep the memory of a pass for the next one.
void prepare_numerics();

// Sets the compute threads of every pass for the life of the process; no dynamic changes under load.
void set_threads(int threads);

// Calls body(first, last) with parts of [0, count) that together are all of it, each on a compute thread of its own and
// but for the last of equal length, which is at least `grain` where there is more than one. Which thread it is:
// at::get_thread_num(), below at::get_num_threads(). Exceptions of a body are thrown again here. Use this rather than
// at::parallel_for, which does everything on one thread unless its caller is compiled with OpenMP; not from a body.
void share_out(std::int64_t count, std::int64_t grain, c10::function_ref<void(std::int64_t, std::int64_t)> body);

}  // namespace fathom::trainer
