// Any bytes as CSV, TSV and JSONL: rows or one error, never a crash, a hang or a row of another width than the first.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "data/table.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace fathom::data;
  if (size < 1) return 0;
  TableLimits limits;
  limits.field = 4096;
  limits.columns = 64;
  TableOptions options;
  options.format = static_cast<Format>(bytes[0] % 3);
  options.header = (bytes[0] & 4) != 0;
  if ((bytes[0] & 8) != 0) options.encoding = "windows-1252";
  auto table = Table::read(std::string(reinterpret_cast<const char*>(bytes) + 1, size - 1), options, "fuzz", limits);
  if (!table) return 0;
  Row row;
  while (true) {
    const auto more = table->next(row);
    if (!more || !*more) return 0;
    if (row.fields.size() != table->columns().size()) std::abort();
  }
}
