// Bytes of a named encoding to UTF-8. Internal to data/. Thread: a free function without state.
#pragma once

#include <cstdint>
#include <string>

#include "common/result.hpp"

namespace fathom::data {

// Valid UTF-8 without a byte order mark; `replaced` counts the U+FFFD written for bytes that mean nothing in
// `encoding`. invalid_argument: an encoding nobody knows, or UTF-16 bytes in what is said to be UTF-8.
Result<std::string> to_utf8(std::string bytes, const std::string& encoding, std::uint64_t& replaced);

}  // namespace fathom::data
