// Character classes as BERT's text clean-up and GPT-2's word pattern name them, by ICU's tables.
// Thread: free functions without state.
#pragma once

#include <string>
#include <string_view>

namespace fathom::trainer {

bool is_white_space(char32_t c);  // the Unicode property White_Space
bool is_control(char32_t c);      // Cc, Cf or Co, but not tab, newline and carriage return
bool is_punctuation(char32_t c);  // ASCII punctuation and symbols, or any of Unicode's P*
bool is_han(char32_t c);          // the blocks that BERT calls "Chinese characters" (Kana and Hangul are not in it)
bool is_letter(char32_t c);       // L*
bool is_number(char32_t c);       // N*

// Canonical decomposition without the nonspacing marks (Mn): "é" becomes "e".
std::u32string strip_accents(const std::u32string& text);

// Character by character, without context rules: no final sigma.
std::u32string to_lower(const std::u32string& text);

}  // namespace fathom::trainer
