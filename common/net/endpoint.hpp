// HOST:PORT as people and files write it. Thread: free functions without state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace fathom::net {

struct Endpoint {
  std::string host;  // a DNS name or an IP address, without brackets
  std::uint16_t port = 0;
};

// "localhost:7447", "127.0.0.1:0", "[::1]:7447". Without a port: `default_port`. invalid_argument: anything else.
Result<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port = 7447);
// The form that parse_endpoint reads.
std::string to_text(const Endpoint& endpoint);
// True for localhost, 127.0.0.0/8 and ::1: reachable from this machine only.
bool is_loopback(std::string_view host);

}  // namespace fathom::net
