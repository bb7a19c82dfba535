// Depths beyond the base model, at the places where the file names them. Thread: a free function without state.
#pragma once

#include <cstdint>

#include "sweeps/file/node.hpp"

namespace fathom::sweeps {

// Reports every depth of a file that a model of so many layers does not have. What is no depth at all is passed over:
// the rest of the parser has told it.
void check_depths(const Node& root, std::uint32_t layers, Report& report);

}  // namespace fathom::sweeps
