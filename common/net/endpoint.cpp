#include "common/net/endpoint.hpp"

#include <charconv>

namespace fathom::net {

Result<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port) {
  const Error wrong{Errc::invalid_argument,
                    "\"" + std::string(text) + "\" is no address; expected HOST:PORT, such as 127.0.0.1:7447"};
  std::string_view host = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return wrong;
    host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest[0] != ':') return wrong;
    port = rest.empty() ? rest : rest.substr(1);
  } else if (const auto colon = text.rfind(':'); colon != std::string_view::npos) {
    // Two colons without brackets: a bare IPv6 address, where the port cannot be told from the address.
    if (text.find(':') != colon) return wrong;
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (port.empty()) return wrong;
  }
  if (host.empty() || host.find_first_of(" \t\r\n/") != std::string_view::npos) return wrong;
  Endpoint endpoint{std::string(host), default_port};
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
    if (error != std::errc() || end != port.data() + port.size()) return wrong;
  }
  return endpoint;
}

std::string to_text(const Endpoint& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos);
}

}  // namespace fathom::net
