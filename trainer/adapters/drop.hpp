// AdapterDrop for one part of a setup: children of a parallel or a batch_split may each run at a depth of its own,
// which ForwardOptions::drop_depth, one number for the whole pass, cannot say.
#pragma once

#include <cstdint>

#include "trainer/adapters/setup.hpp"

namespace fathom::trainer {

// The same setup with no adapters in layers 0 … depth-1. Weights are shared with `setup`, which is not changed; a
// fusion keeps its layers and does nothing where its members are gone. depth at or above the layers: nothing is left.
Setup without_lowest(const Setup& setup, std::int64_t depth);

}  // namespace fathom::trainer
