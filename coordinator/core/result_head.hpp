// The part of a result (docs/protocol.md "result") that decisions need, read without making the rest of it.
// Thread: pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace fathom::core {

struct ResultHead {
  bool readable = false;            // false: no JSON object
  std::optional<double> objective;  // none: absent, no number or not finite
  std::uint32_t epoch = 0;
};

[[nodiscard]] ResultHead read_result_head(const std::string& text);

}  // namespace fathom::core
