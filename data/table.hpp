// Rows out of CSV, TSV and JSONL files of any origin. CSV is RFC 4180: quotes, doubled quotes, line breaks inside
// quotes, LF or CRLF. TSV knows no quoting: split at tabs and line feeds only, as GLUE's files are written. JSONL is
// one object a line; its columns are the keys of the first. Every row must have as many columns as the first. Bytes
// that are no valid text become U+FFFD and are counted. Nothing outside throws or aborts: errors name file and line.
// Thread: an object belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/result.hpp"

namespace fathom::data {

enum class Format { csv, tsv, jsonl };

const char* name_of(Format format);
// By file ending: .csv; .tsv .tab .txt; .jsonl .ndjson. invalid_argument names the endings that are known.
Result<Format> format_of(const std::filesystem::path& path);
std::optional<Format> format_named(const std::string& name);

struct TableOptions {
  std::optional<Format> format;    // absent: by file ending
  bool header = true;              // the first row names the columns (CSV, TSV)
  std::string encoding = "utf-8";  // or any name ICU knows: latin1, windows-1252, utf-16, gb18030, …
  bool skip_malformed = false;     // rows with another number of columns are left out and counted, not an error
};

struct TableLimits {
  std::uint64_t bytes = std::uint64_t{2} << 30;  // of a file
  std::size_t field = std::size_t{4} << 20;      // bytes of one field
  std::size_t columns = 4096;
};

struct Row {
  std::uint64_t line = 0;  // where it begins, from 1
  std::vector<std::string> fields;
};

// A column by its name, or by its number from 1 (number > 0).
struct Column {
  std::string name;
  std::uint32_t number = 0;
  [[nodiscard]] std::string text() const;  // for messages
};

class Table {
 public:
  static Result<Table> open(const std::filesystem::path& path, const TableOptions& options,
                            const TableLimits& limits = {});
  // The same of bytes in memory; `name` stands for the file in messages. options.format must be set.
  static Result<Table> read(std::string bytes, const TableOptions& options, const std::string& name,
                            const TableLimits& limits = {});
  ~Table();
  Table(Table&&) noexcept;
  Table& operator=(Table&&) noexcept;

  // Reads the next row; false at the end, `row` is then unspecified.
  Result<bool> next(Row& row);

  // The header's names; "1", "2", … without a header. Empty: a file without rows.
  [[nodiscard]] const std::vector<std::string>& columns() const;
  // Index into Row::fields. not_found lists the columns there are.
  [[nodiscard]] Result<std::size_t> find(const Column& column) const;
  // "file:line: message" as an Error.
  [[nodiscard]] Error error_at(std::uint64_t line, const std::string& message) const;
  // U+FFFD written in place of invalid bytes, in the whole file.
  [[nodiscard]] std::uint64_t replaced() const;
  // Rows left out so far (TableOptions::skip_malformed).
  [[nodiscard]] std::uint64_t skipped() const;

 private:
  struct State;
  explicit Table(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fathom::data
