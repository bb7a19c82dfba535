#include "common/utf8.hpp"
#include "trainer/tokenizer/byte_bpe.hpp"
#include "trainer/tokenizer/unicode.hpp"

namespace fathom::trainer {

namespace {

enum class Class { blank, letter, number, other };

Class class_of(char32_t c) {
  if (is_white_space(c)) return Class::blank;
  if (is_letter(c)) return Class::letter;
  if (is_number(c)) return Class::number;
  return Class::other;
}

// Length of an English contraction at `at`, 0 if there is none.
std::size_t contraction(std::string_view text, std::size_t at) {
  static constexpr std::string_view forms[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  for (const std::string_view form : forms) {
    if (text.substr(at).starts_with(form)) return form.size();
  }
  return 0;
}

// Walks over code points of one class from `at`; reports where the last of them begins.
std::size_t run_end(std::string_view text, std::size_t at, Class wanted, std::size_t& last) {
  last = at;
  while (at < text.size()) {
    std::size_t next = at;
    bool valid = true;
    if (class_of(next_code_point(text, next, valid)) != wanted) break;
    last = at;
    at = next;
  }
  return at;
}

Class class_at(std::string_view text, std::size_t at) {
  bool valid = true;
  return class_of(next_code_point(text, at, valid));
}

// The end of the word that begins at `at`: the alternatives of the pattern in their order.
std::size_t word_end(std::string_view text, std::size_t at) {
  if (const std::size_t length = contraction(text, at); length > 0) return at + length;
  const std::size_t body = text[at] == ' ' && at + 1 < text.size() ? at + 1 : at;  // " ?"
  std::size_t last = 0;
  if (const Class kind = class_at(text, body); kind != Class::blank) return run_end(text, body, kind, last);
  const std::size_t end = run_end(text, at, Class::blank, last);
  // \s+(?!\S): the last blank before a word is left to that word, unless it is the only one.
  return end < text.size() && last > at ? last : end;
}

}  // namespace

std::vector<std::size_t> gpt2_words(std::string_view text) {
  std::vector<std::size_t> ends;
  for (std::size_t i = 0; i < text.size();) {
    i = word_end(text, i);
    ends.push_back(i);
  }
  return ends;
}

}  // namespace fathom::trainer
