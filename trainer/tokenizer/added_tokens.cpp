#include "trainer/tokenizer/added_tokens.hpp"

#include <algorithm>
#include <utility>

#include "common/utf8.hpp"
#include "trainer/tokenizer/unicode.hpp"

namespace fathom::trainer {

namespace {

bool is_word(char32_t c) { return c == '_' || is_letter(c) || is_number(c); }

// The code point that ends just before `end`; 0 at the beginning of the text.
char32_t before(std::string_view text, std::size_t end) {
  if (end == 0) return 0;
  std::size_t start = end - 1;
  while (start > 0 && end - start < 4 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
  bool valid = true;
  return next_code_point(text, start, valid);
}

char32_t after(std::string_view text, std::size_t start) {
  bool valid = true;
  return start < text.size() ? next_code_point(text, start, valid) : 0;
}

std::size_t skip_blanks_left(std::string_view text, std::size_t end, std::size_t floor) {
  while (end > floor && is_white_space(before(text, end))) {
    do {
      --end;
    } while (end > floor && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  }
  return end;
}

std::size_t skip_blanks_right(std::string_view text, std::size_t start) {
  while (start < text.size() && is_white_space(after(text, start))) {
    bool valid = true;
    next_code_point(text, start, valid);
  }
  return start;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.content.empty(); });
  std::stable_sort(tokens_.begin(), tokens_.end(),
                   [](const auto& a, const auto& b) { return a.content.size() > b.content.size(); });
  for (std::uint32_t i = 0; i < tokens_.size(); ++i) {
    by_byte_[static_cast<unsigned char>(tokens_[i].content.front())].push_back(i);
  }
}

const AddedToken* AddedTokens::match(std::string_view text, std::size_t at) const {
  for (const std::uint32_t index : by_byte_[static_cast<unsigned char>(text[at])]) {
    const AddedToken& token = tokens_[index];
    if (!text.substr(at).starts_with(token.content)) continue;
    const bool touches = is_word(before(text, at)) || is_word(after(text, at + token.content.size()));
    if (token.single_word && touches) continue;
    return &token;
  }
  return nullptr;
}

std::vector<AddedTokens::Piece> AddedTokens::split(std::string_view text) const {
  std::vector<Piece> pieces;
  std::size_t done = 0;  // text before it is in `pieces`
  for (std::size_t i = 0; i < text.size();) {
    const AddedToken* token = match(text, i);
    if (token == nullptr) {
      ++i;
      continue;
    }
    const std::size_t begin = token->lstrip ? skip_blanks_left(text, i, done) : i;
    std::size_t end = i + token->content.size();
    if (token->rstrip) end = skip_blanks_right(text, end);
    if (begin > done) pieces.push_back({text.substr(done, begin - done), -1});
    pieces.push_back({text.substr(begin, end - begin), token->id});
    done = i = end;
  }
  if (done < text.size()) pieces.push_back({text.substr(done), -1});
  return pieces;
}

}  // namespace fathom::trainer
