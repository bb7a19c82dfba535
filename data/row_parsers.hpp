// The grammar of each format, over text in memory that is valid UTF-8. Internal to data/.
// Thread: an object belongs to one thread; the text must outlive it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/table.hpp"

namespace fathom::data {

// What a parser found wrong: the line it began on and the words.
struct RowMistake {
  std::uint64_t line = 0;
  std::string message;
};

class RowParser {
 public:
  virtual ~RowParser() = default;
  enum class Got { row, end, mistake };
  // Fills `row`, or `mistake`. After end or mistake it must not be called again.
  virtual Got next(Row& row, RowMistake& mistake) = 0;
  // JSONL: the keys of the first object. CSV and TSV know names only by their header row: empty.
  [[nodiscard]] virtual std::vector<std::string> keys() const { return {}; }
};

std::unique_ptr<RowParser> csv_parser(std::string_view text, const TableLimits& limits);
std::unique_ptr<RowParser> tsv_parser(std::string_view text, const TableLimits& limits);
std::unique_ptr<RowParser> jsonl_parser(std::string_view text, const TableLimits& limits);

}  // namespace fathom::data
