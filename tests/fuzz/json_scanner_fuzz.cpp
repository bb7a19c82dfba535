// What the scanner takes is what the parser takes, and the tokens of an object's members are its values.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <nlohmann/json.hpp>

#include "common/json_scanner.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using Token = fathom::JsonScanner::Token;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.find('\0') != std::string_view::npos) return 0;  // the end of the text for the parser
  fathom::JsonScanner scan(text);
  Token token = scan.next();
  for (; token != Token::bad && token != Token::end; token = scan.next()) {
    const bool whole = token == Token::key || token == Token::string || token == Token::number;
    if (whole && !nlohmann::json::accept(scan.text())) std::abort();
  }
  if ((token == Token::end) != nlohmann::json::accept(text)) std::abort();
  return 0;
}
