// Which addresses a message may go to: whoever submits a sweep chooses a host name, and must not be able to make the
// coordinator speak to what only it can reach (its own machine, the private network, a cloud's metadata service).
// Thread: free functions without state.
#pragma once

#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/https_url.hpp"
#include "common/result.hpp"

namespace fathom::notify {

// True for a global unicast IP address. False for private, shared, loopback, link-local, documentation, benchmarking,
// multicast and reserved ones, for IPv6 that wraps an IPv4 address (mapped, NAT64, 6to4, Teredo), and for what is no
// address (RFC 6890 and the IANA registries of special-purpose addresses).
bool is_public(const std::string& address);

// Every address of the host, as text, in the resolver's order; a literal is its own. unavailable: not found in time.
Result<std::vector<std::string>> resolve(const std::string& host, Millis timeout);

// The address to connect to. The caller connects to it and to no name, so that no second answer of a name server can
// lead elsewhere. permission_denied: the host has no address that is allowed; `any` allows all.
Result<std::string> choose_address(const HttpsUrl& url, bool any, Millis timeout);

}  // namespace fathom::notify
