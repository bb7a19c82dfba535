#include "coordinator/api/http/head.hpp"

#include <fmt/format.h>

namespace fathom::api {
namespace {

// Nothing from elsewhere, no inline script, no frame around us: what text a job prints can never become code.
constexpr const char* kSecurity =
    "X-Content-Type-Options: nosniff\r\n"
    "X-Frame-Options: DENY\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";

// A line break in a value would start another header.
std::string one_line(const std::string& value) {
  std::string clean;
  for (const char c : value) {
    if (static_cast<unsigned char>(c) >= 0x20) clean += c;
  }
  return clean;
}

}  // namespace

std::string head_bytes(const Answer& answer, bool keep_alive) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\nServer: fathom\r\n", answer.status, reason_of(answer.status));
  if (answer.status != 304) head += "Content-Type: " + one_line(answer.type) + "\r\n";
  if (answer.live) {
    head += "Transfer-Encoding: chunked\r\n";
  } else if (answer.status != 304) {
    head += fmt::format("Content-Length: {}\r\n", answer.source ? answer.source->size() : answer.body.size());
  }
  bool cache_named = false;
  for (const auto& [name, value] : answer.headers) {
    head += name + ": " + one_line(value) + "\r\n";
    cache_named = cache_named || name == "Cache-Control";
  }
  if (!cache_named) head += "Cache-Control: no-store\r\n";
  head += keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
  return head + kSecurity + "\r\n";
}

std::string chunk_bytes(const std::string& text) { return fmt::format("{:x}\r\n{}\r\n", text.size(), text); }

}  // namespace fathom::api
