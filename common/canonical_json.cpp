#include "common/canonical_json.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace fathom {
namespace {

using nlohmann::json;

// UTF-8 to UTF-16, only to compare keys: the order differs from bytes for characters beyond the basic plane.
std::u16string utf16_of(const std::string& text) {
  std::u16string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const int length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    std::uint32_t code = length == 1 ? lead : lead & (0xFFu >> (length + 1));
    for (int k = 1; k < length && i + k < text.size(); ++k)
      code = (code << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3Fu);
    i += static_cast<std::size_t>(length);
    if (code < 0x10000) {
      out += static_cast<char16_t>(code);
    } else {
      out += static_cast<char16_t>(0xD800 + ((code - 0x10000) >> 10));
      out += static_cast<char16_t>(0xDC00 + ((code - 0x10000) & 0x3FF));
    }
  }
  return out;
}

// ECMAScript Number::toString: shortest digits that read back, plain notation for exponents in (-7, 21].
void write_number(double value, std::string& out) {
  if (!std::isfinite(value)) throw std::invalid_argument("canonical JSON has no NaN or Infinity");
  if (value == 0) {
    out += '0';
    return;
  }
  if (value < 0) out += '-';
  char text[40];  // d.ddde±dd
  const char* const end = std::to_chars(text, text + sizeof text, std::fabs(value), std::chars_format::scientific).ptr;
  const char* const mark = std::find(static_cast<const char*>(text), end, 'e');
  char digits[20];
  digits[0] = text[0];
  const std::size_t count = mark - text > 2 ? static_cast<std::size_t>(mark - text) - 1 : 1;
  std::copy(text + 2, text + 1 + count, digits + 1);
  int exponent = 0;  // of the first digit
  std::from_chars(mark + (mark[1] == '+' ? 2 : 1), end, exponent);
  if (exponent >= 0 && exponent < 21) {
    const auto whole = static_cast<std::size_t>(exponent) + 1;
    out.append(digits, std::min(count, whole));
    if (count <= whole) {
      out.append(whole - count, '0');
    } else {
      (out += '.').append(digits + whole, count - whole);
    }
  } else if (exponent < 0 && exponent >= -6) {
    (out += "0.").append(static_cast<std::size_t>(-exponent - 1), '0').append(digits, count);
  } else {
    out += digits[0];
    if (count > 1) (out += '.').append(digits + 1, count - 1);
    (out += exponent < 0 ? "e-" : "e+") += std::to_string(std::abs(exponent));
  }
}

void write_escape(char c, std::string& out) {
  static constexpr std::string_view kNamed = "\"\\\b\f\n\r\t";
  static constexpr std::string_view kNames = "\"\\bfnrt";
  if (const auto named = kNamed.find(c); named != std::string_view::npos) {
    out += '\\';
    out += kNames[named];
    return;
  }
  static constexpr char kDigits[] = "0123456789abcdef";
  out += "\\u00";
  out += kDigits[(c >> 4) & 15];
  out += kDigits[c & 15];
}

// Escapes only what RFC 8785 escapes: control characters, quote and backslash. The rest goes in pieces.
void write_string(std::string_view text, std::string& out) {
  const auto special = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; };
  out += '"';
  while (!text.empty()) {
    const auto end = std::find_if(text.begin(), text.end(), special);
    out.append(text.begin(), end);
    text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
    if (text.empty()) break;
    write_escape(text.front(), out);
    text.remove_prefix(1);
  }
  out += '"';
}

void write(const json& value, std::string& out);

void write_member(const std::string& key, const json& value, std::string& out) {
  if (out.back() != '{') out += ',';
  write_string(key, out);
  out += ':';
  write(value, out);
}

// UTF-16 and bytes order keys differently only where characters from U+E000 on meet those beyond the basic plane, and
// both begin with a byte from 0xEE on.
bool bytes_order_keys(const json::object_t& object) {
  return std::all_of(object.begin(), object.end(), [](const auto& member) {
    return std::all_of(member.first.begin(), member.first.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0xEE; });
  });
}

void write_object(const json::object_t& object, std::string& out) {
  out += '{';
  if (bytes_order_keys(object)) {
    for (const auto& [key, member] : object) write_member(key, member, out);
  } else {
    std::vector<std::pair<std::u16string, const json::object_t::value_type*>> members;
    for (const auto& member : object) members.emplace_back(utf16_of(member.first), &member);
    std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [order, member] : members) write_member(member->first, member->second, out);
  }
  out += '}';
}

void write(const json& value, std::string& out) {
  switch (value.type()) {
    case json::value_t::null:
      out += "null";
      break;
    case json::value_t::boolean:
      out += value.get<bool>() ? "true" : "false";
      break;
    // Integers beyond 2^53 have no exact double: they are written as they are, which no identity of ours contains.
    case json::value_t::number_integer:
      out += std::to_string(value.get<std::int64_t>());
      break;
    case json::value_t::number_unsigned:
      out += std::to_string(value.get<std::uint64_t>());
      break;
    case json::value_t::number_float:
      write_number(value.get<double>(), out);
      break;
    case json::value_t::string:
      write_string(value.get_ref<const std::string&>(), out);
      break;
    case json::value_t::array:
      out += '[';
      for (std::size_t i = 0; i < value.size(); ++i) {
        if (i) out += ',';
        write(value[i], out);
      }
      out += ']';
      break;
    case json::value_t::object:
      write_object(value.get_ref<const json::object_t&>(), out);
      break;
    default:
      throw std::invalid_argument("canonical JSON has no binary values");
  }
}

}  // namespace

std::string canonical_json(const nlohmann::json& value) {
  std::string out;
  write(value, out);
  return out;
}

}  // namespace fathom
