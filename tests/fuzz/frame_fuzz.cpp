// Frames as they come from a peer: any bytes, in any pieces, give envelopes or an error, and no more memory than a
// frame.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/protocol/frame.hpp"
#include "common/protocol/wire.pb.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::size_t piece = 1 + data[0] % 64;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  fathom::FrameDecoder decoder;
  while (!bytes.empty()) {
    decoder.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
    for (;;) {
      const auto next = decoder.next();
      if (!next) return 0;
      if (!next->has_value()) break;
    }
  }
  return 0;
}
