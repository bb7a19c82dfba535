// What a coordinator already has of a plan. Thread: a free function.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>

#include "cli/context.hpp"
#include "sweeps/plan.hpp"

namespace fathom::cli {

// Jobs that may take a result: an equal one has Succeeded, and model, data and inputs are compared when the sweep runs.
struct Reuse {
  std::optional<std::size_t> known;  // nullopt: it cannot be told
  std::string why;                   // …because of this
  std::set<std::string> ids;         // of them
};
// Never fails: a plan needs no coordinator.
Reuse ask_reuse(const Context& context, const sweeps::Plan& plan);

// "12 of 66 jobs …", one sentence for a person.
std::string describe(const Reuse& reuse, const sweeps::Plan& plan);

}  // namespace fathom::cli
