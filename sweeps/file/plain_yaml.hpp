// The part of YAML that most sweep files keep to, read in one pass over the text: block maps, lists of one-line items,
// flow maps and lists of one line, plain words, quotes without escapes, comments. yaml-cpp matches each character
// against regular expressions, which is half of what checking a small file costs.
//
// Thread: free functions without state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sweeps/file/node.hpp"

namespace fathom::sweeps {

// The tree with its marks, bit for bit what yaml-cpp's way makes of the text. Nothing: something in it is beyond that
// part, or wrong; then yaml-cpp reads it and says what. `text`: UTF-8 without control characters but tabs and breaks,
// and without a tab in an indentation.
std::optional<Node> read_plain_yaml(std::uint32_t source, std::string_view text);

// The same of any YAML, by yaml-cpp. Nothing: the reason is in the report. `source`: a source of it.
std::optional<Node> read_any_yaml(std::uint32_t source, const std::string& text, Report& report);

}  // namespace fathom::sweeps
