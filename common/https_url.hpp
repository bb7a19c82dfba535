// An https:// address, taken apart. Thread: a free function without state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace fathom {

struct HttpsUrl {
  std::string host;  // a DNS name or an IP address, without brackets
  std::uint16_t port = 443;
  std::string target;  // path and query, at least "/"
};

// invalid_argument: not https, a user or password in it, no host, a port out of range, a fragment, blanks or bytes that
// have to be escaped, over 2,000 characters. The message does not repeat the address: it may be a secret.
Result<HttpsUrl> parse_https_url(std::string_view text);

}  // namespace fathom
