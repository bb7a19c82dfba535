// UTF-8 as bytes from outside: never trusted to be valid. An ill-formed sequence counts as one U+FFFD for each maximal
// part of it (Unicode 15, section 3.9, "best practice"), which is what Python's errors="replace" and browsers do.
// Thread: free functions without state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fathom {

inline constexpr char32_t kReplacement = 0xFFFD;

// The code point at text[position]; moves position past it. Requires position < text.size(). Ill-formed: returns
// kReplacement, clears `valid` (left alone otherwise) and moves past the maximal part, at least one byte.
char32_t next_code_point(std::string_view text, std::size_t& position, bool& valid);

void append_utf8(std::string& out, char32_t code_point);

// All code points; ill-formed bytes as kReplacement.
std::u32string decode_utf8(std::string_view text);

bool is_utf8(std::string_view text);

// Valid UTF-8 in place of `text`; returns how many U+FFFD were written.
std::uint64_t repair_utf8(std::string& text);

}  // namespace fathom
