// JSON Canonicalization Scheme (RFC 8785): one text for equal values, so that its hash is an identity. Members sorted
// by UTF-16 code units, numbers as ECMAScript writes them (16 and 16.0 are one value), no white space. Thread: a free
// function without state.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace fathom {

// Values must be finite and strings valid UTF-8 (anything that nlohmann parsed is); else std::invalid_argument.
std::string canonical_json(const nlohmann::json& value);

}  // namespace fathom
