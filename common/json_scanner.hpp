// Reads JSON token by token without making values: for who wants a few members of a text, and to know that all of it is
// JSON. It takes what RFC 8259 takes, with numbers that a double can hold and Unicode that is well-formed, as
// nlohmann's parser does; a byte order mark in front is passed over.
//
//   for (JsonScanner scan(text);;) {
//     switch (scan.next()) {
//       case JsonScanner::Token::bad: return no JSON;
//       case JsonScanner::Token::end: return what was found;
//       case JsonScanner::Token::key: if (scan.depth() == 1 && scan.is("epoch")) …
//
// Thread: one. The text outlives the scanner. Memory: a byte for each container that is open. Failure: Token::bad, and
// nothing else from then on.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fathom {

class JsonScanner {
 public:
  enum class Token { begin_object, end_object, begin_array, end_array, key, string, number, literal, end, bad };

  explicit JsonScanner(std::string_view text);

  // The next token. After the last one `end`, for ever.
  Token next();
  // The token as it stands in the text: strings with their quotes and escapes. JSON in itself, but for brackets.
  [[nodiscard]] std::string_view text() const { return text_.substr(from_, at_ - from_); }
  // Of a key or a string: whether it says this. `plain`: ASCII without '"', '\' and control characters.
  [[nodiscard]] bool is(std::string_view plain) const;
  // Of a number, rounded to the nearest.
  [[nodiscard]] double number() const;
  // Containers that are open: one that begins counts, one that ends does not.
  [[nodiscard]] std::size_t depth() const { return open_.size(); }

 private:
  // What may come next.
  enum class Place { value, first_value, first_key, after_value };

  Token fail();
  Token value();
  Token member();
  Token follow();
  Token close(char bracket);
  Token took(Token token);
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_space();
  bool take_word(std::string_view word);
  bool take_string();
  bool take_escape();
  bool take_hex(unsigned& unit);
  bool take_number();
  bool take_digits();

  std::string_view text_;
  std::size_t from_ = 0, at_ = 0;  // of the token: its begin, and the first byte behind it
  Place place_ = Place::value;
  bool failed_ = false;
  std::string open_;  // brackets
};

}  // namespace fathom
