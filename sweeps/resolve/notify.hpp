// `notify`: webhooks, and references to secrets, which nothing else in a sweep file may hold. Thread: free functions
// without state.
#pragma once

#include <nlohmann/json.hpp>

#include "sweeps/file/node.hpp"

namespace fathom::sweeps {

// A list of {on, webhook, [secret]}, at most kMaxHooks. References stay references: their values are never part of a
// sweep, so that no page, event or export can show them.
nlohmann::json read_notify(const Node& node, Report& report);
inline constexpr std::size_t kMaxHooks = 16;

// Reports every `${env:NAME}` outside of `notify`.
void refuse_references(const Node& root, Report& report);

}  // namespace fathom::sweeps
