// Thread: a free function without state.
#pragma once

#include <string>

#include "sweeps/plan.hpp"

namespace fathom::sweeps {

// What two jobs of one stage have in common when they differ in their seed alone: a setting. Equal texts are one
// setting; the text is for lookups, not for people.
std::string setting_of(const Job& job);

}  // namespace fathom::sweeps
