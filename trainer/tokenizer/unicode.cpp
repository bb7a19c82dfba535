#include "trainer/tokenizer/unicode.hpp"

#include <array>

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

namespace fathom::trainer {

namespace {

UChar32 icu(char32_t c) { return static_cast<UChar32>(c); }

bool has_type(char32_t c, std::uint32_t mask) { return (U_GET_GC_MASK(icu(c)) & mask) != 0; }

}  // namespace

bool is_white_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  return u_isUWhiteSpace(icu(c)) != 0;
}

bool is_control(char32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  return has_type(c, U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK);
}

bool is_punctuation(char32_t c) {
  if (c < 0x80) return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
  return has_type(c, U_GC_P_MASK);
}

bool is_han(char32_t c) {
  struct Range {
    char32_t low, high;
  };
  // The ranges of BERT's own code as `tokenizers` has them (0x2B920 where Unicode's block begins at 0x2B820).
  static constexpr std::array<Range, 8> ranges{{{0x4E00, 0x9FFF},
                                                {0x3400, 0x4DBF},
                                                {0x20000, 0x2A6DF},
                                                {0x2A700, 0x2B73F},
                                                {0x2B740, 0x2B81F},
                                                {0x2B920, 0x2CEAF},
                                                {0xF900, 0xFAFF},
                                                {0x2F800, 0x2FA1F}}};
  for (const Range& range : ranges) {
    if (c >= range.low && c <= range.high) return true;
  }
  return false;
}

bool is_letter(char32_t c) { return has_type(c, U_GC_L_MASK); }

bool is_number(char32_t c) { return has_type(c, U_GC_N_MASK); }

std::u32string strip_accents(const std::u32string& text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* nfd = icu::Normalizer2::getNFDInstance(status);
  if (U_FAILURE(status)) return text;  // only without ICU's data, which the library carries
  static_assert(sizeof(char32_t) == sizeof(UChar32));
  const auto source =
      icu::UnicodeString::fromUTF32(reinterpret_cast<const UChar32*>(text.data()), static_cast<int32_t>(text.size()));
  const icu::UnicodeString decomposed = nfd->normalize(source, status);
  std::u32string out;
  out.reserve(text.size());
  for (int32_t i = 0; i < decomposed.length(); i = decomposed.moveIndex32(i, 1)) {
    const auto c = static_cast<char32_t>(decomposed.char32At(i));
    if (!has_type(c, U_GC_MN_MASK)) out.push_back(c);
  }
  return out;
}

std::u32string to_lower(const std::u32string& text) {
  std::u32string out;
  out.reserve(text.size());
  for (const char32_t c : text) {
    if (c == 0x130) {
      out += U"i\u0307";  // the one character whose lower case is two
    } else {
      out.push_back(c < 0x80 ? (c >= 'A' && c <= 'Z' ? c + 32 : c) : static_cast<char32_t>(u_tolower(icu(c))));
    }
  }
  return out;
}

}  // namespace fathom::trainer
