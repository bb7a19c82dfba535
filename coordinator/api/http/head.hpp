// The head of an answer as bytes, with the headers that every answer carries. Thread: a free function without state.
#pragma once

#include <string>

#include "coordinator/api/http/message.hpp"

namespace fathom::api {

// Status line, headers and the empty line. A live answer is chunked; others have their length. `keep_alive` false: the
// connection is closed afterwards, and says so.
std::string head_bytes(const Answer& answer, bool keep_alive);

// One chunk of a chunked body.
std::string chunk_bytes(const std::string& text);

}  // namespace fathom::api
