#include "common/utf8.hpp"

namespace fathom {

namespace {

// What may follow a lead byte: how many bytes, and the range of the second one, which excludes overlong forms,
// surrogates and values above U+10FFFF (Unicode 15, table 3-7).
struct Lead {
  int length = 0;  // 0: not a lead byte
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
};

Lead lead_of(unsigned char byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {2};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {};
}

}  // namespace

char32_t next_code_point(std::string_view text, std::size_t& position, bool& valid) {
  const auto first = static_cast<unsigned char>(text[position++]);
  if (first < 0x80) return first;
  const Lead lead = lead_of(first);
  if (lead.length == 0) {
    valid = false;
    return kReplacement;
  }
  char32_t value = first & (0xFFU >> (lead.length + 1));
  for (int i = 1; i < lead.length; ++i) {
    const unsigned char low = i == 1 ? lead.low : 0x80;
    const unsigned char high = i == 1 ? lead.high : 0xBF;
    const auto byte = position < text.size() ? static_cast<unsigned char>(text[position]) : 0;
    if (byte < low || byte > high) {
      valid = false;
      return kReplacement;
    }
    value = (value << 6) | (byte & 0x3FU);
    ++position;
  }
  return value;
}

void append_utf8(std::string& out, char32_t code_point) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | (code_point >> 6));
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | (code_point >> 12));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | (code_point >> 18));
    put(0x80 | ((code_point >> 12) & 0x3F));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

std::u32string decode_utf8(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  bool valid = true;
  for (std::size_t i = 0; i < text.size();) out.push_back(next_code_point(text, i, valid));
  return out;
}

bool is_utf8(std::string_view text) {
  bool valid = true;
  for (std::size_t i = 0; i < text.size() && valid;) next_code_point(text, i, valid);
  return valid;
}

std::uint64_t repair_utf8(std::string& text) {
  if (is_utf8(text)) return 0;  // the common case: nothing is copied
  std::string out;
  out.reserve(text.size() + 16);
  std::uint64_t replaced = 0;
  for (std::size_t i = 0; i < text.size();) {
    bool valid = true;
    append_utf8(out, next_code_point(text, i, valid));
    replaced += valid ? 0 : 1;
  }
  text = std::move(out);
  return replaced;
}

}  // namespace fathom
