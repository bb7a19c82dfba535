#include "common/json_scanner.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "common/utf8.hpp"

namespace fathom {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::size_t kSafeDigits = 300;  // a number of fewer characters and without exponent is no infinity

bool is_digit(char c) { return c >= '0' && c <= '9'; }

double to_double(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  // Out of range is too large or too small: strtod tells which.
  return error == std::errc() ? value : std::strtod(std::string(text).c_str(), nullptr);
}

}  // namespace

JsonScanner::JsonScanner(std::string_view text) : text_(text) {
  if (text_.starts_with(kByteOrderMark)) text_.remove_prefix(kByteOrderMark.size());
}

JsonScanner::Token JsonScanner::fail() {
  failed_ = true;
  return Token::bad;
}

JsonScanner::Token JsonScanner::next() {
  if (failed_) return Token::bad;
  skip_space();
  from_ = at_;
  switch (place_) {
    case Place::value:
      return value();
    case Place::first_value:
      return peek() == ']' ? close(']') : value();
    case Place::first_key:
      return peek() == '}' ? close('}') : member();
    case Place::after_value:
      return follow();
  }
  return fail();
}

// Behind a value: the next one of its container, the container's end, or that of the text.
JsonScanner::Token JsonScanner::follow() {
  if (open_.empty()) return at_ == text_.size() ? Token::end : fail();
  const bool in_object = open_.back() == '{';
  if (peek() != ',') return close(in_object ? '}' : ']');
  ++at_;
  skip_space();
  from_ = at_;
  return in_object ? member() : value();
}

JsonScanner::Token JsonScanner::took(Token token) {
  place_ = Place::after_value;
  return token;
}

JsonScanner::Token JsonScanner::close(char bracket) {
  if (peek() != bracket) return fail();
  ++at_;
  open_.pop_back();
  return took(bracket == '}' ? Token::end_object : Token::end_array);
}

// Its key, with the colon passed over when the value is asked for.
JsonScanner::Token JsonScanner::member() {
  if (peek() != '"' || !take_string()) return fail();
  const std::size_t end = at_;
  skip_space();
  if (peek() != ':') return fail();
  place_ = Place::value;
  at_ = end;
  return Token::key;
}

JsonScanner::Token JsonScanner::value() {
  // Only behind a key.
  if (peek() == ':' && !open_.empty() && open_.back() == '{') {
    ++at_;
    skip_space();
    from_ = at_;
  }
  switch (peek()) {
    case '{':
    case '[': {
      const bool object = text_[at_++] == '{';
      open_.push_back(object ? '{' : '[');
      place_ = object ? Place::first_key : Place::first_value;
      return object ? Token::begin_object : Token::begin_array;
    }
    case '"':
      return take_string() ? took(Token::string) : fail();
    case 't':
      return take_word("true") ? took(Token::literal) : fail();
    case 'f':
      return take_word("false") ? took(Token::literal) : fail();
    case 'n':
      return take_word("null") ? took(Token::literal) : fail();
    default:
      return take_number() ? took(Token::number) : fail();
  }
}

void JsonScanner::skip_space() {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
    ++at_;
}

bool JsonScanner::take_word(std::string_view word) {
  if (text_.substr(at_, word.size()) != word) return false;
  at_ += word.size();
  return true;
}

bool JsonScanner::take_string() {
  ++at_;
  while (at_ < text_.size()) {
    const auto byte = static_cast<unsigned char>(text_[at_]);
    if (byte == '"') {
      ++at_;
      return true;
    }
    if (byte < 0x20) return false;
    if (byte == '\\') {
      if (!take_escape()) return false;
    } else if (byte < 0x80) {
      ++at_;
    } else {
      bool valid = true;
      next_code_point(text_, at_, valid);
      if (!valid) return false;
    }
  }
  return false;
}

bool JsonScanner::take_escape() {
  ++at_;
  const char kind = peek();
  if (kind != 'u') {
    if (kind == '\0' || std::string_view("\"\\/bfnrt").find(kind) == std::string_view::npos) return false;
    ++at_;
    return true;
  }
  unsigned unit = 0;
  if (!take_hex(unit) || (unit >= 0xDC00 && unit <= 0xDFFF)) return false;
  if (unit < 0xD800 || unit > 0xDFFF) return true;
  // The first half of a pair.
  if (peek() != '\\') return false;
  ++at_;
  return peek() == 'u' && take_hex(unit) && unit >= 0xDC00 && unit <= 0xDFFF;
}

// u and four hex digits, from the u on.
bool JsonScanner::take_hex(unsigned& unit) {
  ++at_;
  const std::string_view digits = text_.substr(std::min(at_, text_.size()), 4);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), unit, 16);
  if (error != std::errc() || digits.size() != 4 || end != digits.data() + 4) return false;
  at_ += 4;
  return true;
}

bool JsonScanner::take_digits() {
  if (!is_digit(peek())) return false;
  while (is_digit(peek())) ++at_;
  return true;
}

bool JsonScanner::take_number() {
  if (peek() == '-') ++at_;
  if (peek() == '0') {
    ++at_;
  } else if (!take_digits()) {
    return false;
  }
  if (peek() == '.') {
    ++at_;
    if (!take_digits()) return false;
  }
  const bool scaled = peek() == 'e' || peek() == 'E';
  if (scaled) {
    ++at_;
    if (peek() == '+' || peek() == '-') ++at_;
    if (!take_digits()) return false;
  }
  return (!scaled && at_ - from_ < kSafeDigits) || std::isfinite(number());
}

bool JsonScanner::is(std::string_view plain) const {
  std::string_view inside = text();
  inside = inside.substr(1, inside.size() - 2);
  if (inside.find('\\') == std::string_view::npos) return inside == plain;
  return nlohmann::json::parse(text()).get_ref<const std::string&>() == plain;
}

double JsonScanner::number() const { return to_double(text()); }

}  // namespace fathom
