#include "common/https_url.hpp"

#include <algorithm>
#include <charconv>

namespace fathom {
namespace {

constexpr std::string_view kScheme = "https://";
constexpr std::size_t kLongest = 2000;

Error wrong(const std::string& why) {
  return {Errc::invalid_argument, "expected an address such as https://example.org/hooks/1; " + why};
}

Status read_port(std::string_view text, std::uint16_t& port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return wrong("its port is no port");
  return success();
}

// HOST, HOST:PORT or [V6]:PORT.
Status read_authority(std::string_view text, HttpsUrl& url) {
  if (text.find('@') != std::string_view::npos) return wrong("a name or password in it would be sent to anybody");
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return wrong("its '[' is not closed");
    url.host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') return wrong("only a port may follow ']'");
    port = rest;
  } else {
    const auto colon = text.find(':');
    url.host = text.substr(0, colon);
    if (colon != std::string_view::npos) port = text.substr(colon);
  }
  if (url.host.empty()) return wrong("it has no host");
  return port.empty() ? success() : read_port(port.substr(1), url.port);
}

}  // namespace

Result<HttpsUrl> parse_https_url(std::string_view text) {
  if (!text.starts_with(kScheme)) return wrong("it does not begin with https://");
  if (text.size() > kLongest) return wrong("it is too long");
  const auto plain = [](char c) {
    return c > ' ' && c < 0x7f && c != '#' && c != '\\' && c != '"' && c != '<' && c != '>';
  };
  if (!std::ranges::all_of(text, plain)) return wrong("it has a character that must be escaped");
  text.remove_prefix(kScheme.size());
  const auto slash = text.find_first_of("/?");
  HttpsUrl url;
  FATHOM_TRY(read_authority(text.substr(0, slash), url));
  if (slash != std::string_view::npos) url.target = text.substr(slash);
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  return url;
}

}  // namespace fathom
