#include "coordinator/api/http/url.hpp"

namespace fathom::api {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Text up to `separator`, which is taken off with it.
std::string_view take_until(std::string_view& text, char separator) {
  const auto end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  return part;
}

bool parse_query(std::string_view text, QueryMap& query) {
  while (!text.empty()) {
    std::string_view pair = take_until(text, '&');
    if (pair.empty()) continue;
    const std::string_view name = take_until(pair, '=');
    auto decoded_name = percent_decode(name, true);
    auto decoded_value = percent_decode(pair, true);
    if (!decoded_name || !decoded_value) return false;
    query[*decoded_name] = std::move(*decoded_value);
  }
  return true;
}

bool has_dot_segment(std::string_view path) {
  while (!path.empty()) {
    const std::string_view part = take_until(path, '/');
    if (part == "." || part == "..") return true;
  }
  return false;
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size()) return std::nullopt;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    out += c;
  }
  return out;
}

std::string percent_encode(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool unreserved = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                            c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out += c;
      continue;
    }
    out += '%';
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

bool parse_target(std::string_view target, Request& request) {
  if (!target.starts_with('/')) return false;
  const auto mark = target.find('?');
  auto path = percent_decode(target.substr(0, mark), false);
  if (!path || has_dot_segment(*path)) return false;
  request.path = std::move(*path);
  return mark == std::string_view::npos || parse_query(target.substr(mark + 1), request.query);
}

std::string cookie(std::string_view header, std::string_view name) {
  while (!header.empty()) {
    std::string_view pair = take_until(header, ';');
    while (pair.starts_with(' ')) pair.remove_prefix(1);
    if (take_until(pair, '=') == name) return std::string(pair);
  }
  return {};
}

}  // namespace fathom::api
