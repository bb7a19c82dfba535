#include "data/encoding.hpp"

#include <algorithm>
#include <cctype>
#include <memory>

#include <unicode/ucnv.h>

#include "common/utf8.hpp"

namespace fathom::data {

namespace {

bool is_utf8_name(const std::string& encoding) {
  std::string plain;
  for (const char c : encoding) {
    if (c != '-' && c != '_') plain.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
  }
  return plain == "utf8";
}

// U+FFFD in valid UTF-8.
std::uint64_t count_replacements(const std::string& text) {
  std::uint64_t count = 0;
  for (std::size_t at = text.find("\xEF\xBF\xBD"); at != std::string::npos; at = text.find("\xEF\xBF\xBD", at + 3))
    ++count;
  return count;
}

Result<std::string> convert(const std::string& bytes, const std::string& encoding) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<UConverter, decltype(&ucnv_close)> converter(ucnv_open(encoding.c_str(), &status), &ucnv_close);
  if (U_FAILURE(status)) {
    return Error{Errc::invalid_argument,
                 "the encoding \"" + encoding + "\" is not known; try utf-8, latin1, windows-1252 or utf-16"};
  }
  std::string out(bytes.size() * 3 + 16, '\0');  // one byte is at most one BMP character, three bytes of UTF-8
  const auto length = ucnv_toAlgorithmic(UCNV_UTF8, converter.get(), out.data(), static_cast<int32_t>(out.size()),
                                         bytes.data(), static_cast<int32_t>(bytes.size()), &status);
  if (U_FAILURE(status)) return Error{Errc::corrupt, "cannot be read as " + encoding + ": " + u_errorName(status)};
  out.resize(static_cast<std::size_t>(length));
  return out;
}

}  // namespace

Result<std::string> to_utf8(std::string bytes, const std::string& encoding, std::uint64_t& replaced) {
  if (is_utf8_name(encoding)) {
    if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF")) {
      return Error{Errc::invalid_argument, "the file is UTF-16, not UTF-8; say encoding: utf-16"};
    }
    replaced = repair_utf8(bytes);
  } else {
    if (bytes.size() > (std::size_t{512} << 20)) {
      return Error{Errc::resource_exhausted, "a file of more than 512 MiB has to be UTF-8; convert it first"};
    }
    FATHOM_ASSIGN(bytes, convert(bytes, encoding));
    replaced = count_replacements(bytes);
  }
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.erase(0, 3);
  return bytes;
}

}  // namespace fathom::data
