// SHA-1 (OpenSSL), only where somebody else's format names things by it: AdapterHub's config ids. Nothing of ours is
// verified or addressed by it. Thread: free function without state.
#pragma once

#include <string>
#include <string_view>

namespace fathom {

// 40 lower-case hex digits.
std::string sha1_hex(std::string_view bytes);

}  // namespace fathom
