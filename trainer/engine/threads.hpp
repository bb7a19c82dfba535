// Settings of the process that passes depend on: threads, so that the same number gives the same bits, and memory.
#pragma once

namespace fathom::trainer {

// Call first thing in main(): asks MKL for results that do not depend on memory addresses, before it is initialised,
// and the allocator to keep the memory of a pass for the next one.
void prepare_numerics();

// Sets the compute threads of every pass for the life of the process; no dynamic changes under load.
void set_threads(int threads);

}  // namespace fathom::trainer
