#include "trainer/tokenizer/wordpiece.hpp"

#include <algorithm>
#include <utility>

#include "common/utf8.hpp"
#include "trainer/tokenizer/unicode.hpp"

namespace fathom::trainer {

namespace {

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Drops what BERT's clean-up drops and turns every blank into a space.
std::u32string clean(const std::u32string& text) {
  std::u32string out;
  out.reserve(text.size());
  for (const char32_t c : text) {
    if (c == 0 || c == kReplacement || is_control(c)) continue;
    out.push_back(is_white_space(c) ? U' ' : c);
  }
  return out;
}

std::u32string space_han(const std::u32string& text) {
  std::u32string out;
  out.reserve(text.size());
  for (const char32_t c : text) {
    if (is_han(c)) {
      out += {U' ', c, U' '};
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

WordPiece::WordPiece(const Vocabulary& vocabulary, WordPieceOptions options) : options_(std::move(options)) {
  for (const auto& [token, id] : vocabulary) {
    longest_ = std::max(longest_, token.size());
    starts_.emplace(token, id);
    if (!options_.prefix.empty() && token.starts_with(options_.prefix)) {
      continuations_.emplace(token.substr(options_.prefix.size()), id);
    }
  }
  if (options_.prefix.empty()) continuations_ = starts_;
  if (const auto found = starts_.find(options_.unknown); found != starts_.end()) unknown_ = found->second;
}

// The order is that of `tokenizers`: clean-up, Han, accents, lower case.
std::string WordPiece::normalize(std::string_view text) const {
  std::u32string points = decode_utf8(text);
  if (options_.clean_text) points = clean(points);
  const bool ascii = is_ascii(text);  // ASCII has neither Han nor accents: skip what costs most
  if (options_.split_han && !ascii) points = space_han(points);
  if (options_.strip_accents && !ascii) points = strip_accents(points);
  if (options_.lowercase) points = to_lower(points);
  std::string out;
  out.reserve(points.size());
  for (const char32_t c : points) append_utf8(out, c);
  return out;
}

// Words end at blanks; every punctuation character is a word of its own.
void WordPiece::append(std::string_view normalized, std::vector<std::int32_t>& ids) const {
  std::size_t begin = 0;
  std::size_t characters = 0;
  const auto flush = [&](std::size_t end) {
    if (end > begin) append_word(normalized.substr(begin, end - begin), characters, ids);
    characters = 0;
  };
  for (std::size_t i = 0; i < normalized.size();) {
    const std::size_t at = i;
    bool valid = true;
    const char32_t c = next_code_point(normalized, i, valid);
    const bool punctuation = is_punctuation(c);
    if (!punctuation && !is_white_space(c)) {
      ++characters;
      continue;
    }
    flush(at);
    if (punctuation) append_word(normalized.substr(at, i - at), 1, ids);
    begin = i;
  }
  flush(normalized.size());
}

// Greedy, longest piece first; one gap makes the whole word unknown (as in BERT's own tokenizer).
void WordPiece::append_word(std::string_view word, std::size_t characters, std::vector<std::int32_t>& ids) const {
  const std::size_t mark = ids.size();
  bool gap = characters > options_.max_characters;
  for (std::size_t start = 0; start < word.size() && !gap;) {
    const Vocabulary& pieces = start == 0 ? starts_ : continuations_;
    std::size_t length = std::min(word.size() - start, longest_);
    auto found = pieces.end();
    for (; length > 0; --length) {
      const bool inside =
          start + length < word.size() && (static_cast<unsigned char>(word[start + length]) & 0xC0) == 0x80;
      if (inside) continue;  // never cut a character
      found = pieces.find(word.substr(start, length));
      if (found != pieces.end()) break;
    }
    gap = found == pieces.end();
    if (!gap) ids.push_back(found->second);
    start += length;
  }
  if (!gap) return;
  ids.resize(mark);
  ids.push_back(unknown_);
}

}  // namespace fathom::trainer
