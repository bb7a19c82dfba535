#include "common/canonical_json.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <stdexcept>
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
std::string number_text(double value) {
  if (!std::isfinite(value)) throw std::invalid_argument("canonical JSON has no NaN or Infinity");
  if (value == 0) return "0";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, std::fabs(value), std::chars_format::scientific).ptr;
  const std::string text(buffer, end);
  const std::size_t mark = text.find('e');
  std::string digits = text.substr(0, 1) + (mark > 2 ? text.substr(2, mark - 2) : "");
  const int exponent = std::stoi(text.substr(mark + 1));  // of the first digit
  const int count = static_cast<int>(digits.size());
  std::string out;
  if (exponent >= 0 && exponent < 21) {
    if (count <= exponent + 1) {
      out = digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0');
    } else {
      out = digits.substr(0, static_cast<std::size_t>(exponent + 1)) + "." +
            digits.substr(static_cast<std::size_t>(exponent + 1));
    }
  } else if (exponent < 0 && exponent >= -6) {
    out = "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  } else {
    out = digits.substr(0, 1) + (count > 1 ? "." + digits.substr(1) : "") + "e" + (exponent < 0 ? "-" : "+") +
          std::to_string(std::abs(exponent));
  }
  return value < 0 ? "-" + out : out;
}

// Only what RFC 8785 escapes: control characters, quote and backslash.
std::string string_text(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          static constexpr char kDigits[] = "0123456789abcdef";
          out += std::string("\\u00") + kDigits[(c >> 4) & 15] + kDigits[c & 15];
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

void write(const json& value, std::string& out);

void write_object(const json& value, std::string& out) {
  std::vector<std::pair<std::u16string, const std::string*>> keys;
  for (const auto& [key, member] : value.items()) keys.emplace_back(utf16_of(key), &key);
  std::sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  out += '{';
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (i) out += ',';
    out += string_text(*keys[i].second);
    out += ':';
    write(value.at(*keys[i].second), out);
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
      out += number_text(value.get<double>());
      break;
    case json::value_t::string:
      out += string_text(value.get_ref<const std::string&>());
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
      write_object(value, out);
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
