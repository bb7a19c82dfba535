// Exports of the event log as they come from anywhere: any bytes give events or an error, and no more memory than a
// line.
#include <cstddef>
#include <cstdint>
#include <sstream>

#include "coordinator/store/event_export.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream in(std::string(reinterpret_cast<const char*>(data), size));
  std::uint64_t next = 1;
  const auto each = [&](const fathom::store::EventRecord& record) -> fathom::Status {
    if (record.seq != next++) __builtin_trap();
    return fathom::success();
  };
  (void)fathom::store::read_export(in, each, {.line = std::size_t{1} << 16});
  return 0;
}
