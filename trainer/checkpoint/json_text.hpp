// JSON files of strangers. Thread: free function without state.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "common/result.hpp"

namespace fathom::trainer {

// An object. Errc::corrupt with `file` in front: no JSON, no object, more than 256 levels (what walks a value later may
// recurse), or a key twice in one object (readers differ in which of them they keep).
Result<nlohmann::json> parse_json_object(std::string_view text, const std::string& file);

}  // namespace fathom::trainer
