// Thread: free functions without state.
#pragma once

#include <cstddef>
#include <string>

#include "sweeps/plan.hpp"

namespace fathom::sweeps {

// What two jobs of one stage have in common when they differ in their seed alone: a setting. Equal texts are one
// setting; the text is for lookups, not for people.
std::string setting_of(const Job& job);

// The same for tables of many jobs, without a text: two are of one setting when setting_of() says the same of them, and
// then their hashes are equal, which are of this process alone.
bool same_setting(const Job& one, const Job& other);
std::size_t hash_of_setting(const Job& job);

}  // namespace fathom::sweeps
