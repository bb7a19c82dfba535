// How many threads a pass uses, and that the same number gives the same bits.
#pragma once

namespace fathom::trainer {

// Call first thing in main(): asks MKL for results that do not depend on memory addresses, before it is initialised.
void prepare_numerics();

// Sets the compute threads of every pass for the life of the process; no dynamic changes under load.
void set_threads(int threads);

}  // namespace fathom::trainer
