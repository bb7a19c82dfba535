// Targets of requests: decoded once, strictly. Thread: free functions without state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "coordinator/api/http/message.hpp"

namespace fathom::api {

// "%41+b" -> "A+b" ('+' is a space in queries only). nullopt: a broken escape, or a control character comes out.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);
// Everything but unreserved characters escaped.
std::string percent_encode(std::string_view text);

// Splits a request target into Request::path and ::query. False: not an origin-form target ("/…"), a broken escape, or
// "." or ".." as a part of the path.
bool parse_target(std::string_view target, Request& request);

// The value of one cookie of a Cookie header; empty where there is none.
std::string cookie(std::string_view header, std::string_view name);

}  // namespace fathom::api
