#include "data/table.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/files.hpp"
#include "data/encoding.hpp"
#include "data/row_parsers.hpp"

namespace fathom::data {

namespace fs = std::filesystem;

const char* name_of(Format format) {
  switch (format) {
    case Format::csv:
      return "csv";
    case Format::tsv:
      return "tsv";
    case Format::jsonl:
      return "jsonl";
  }
  return "";
}

std::optional<Format> format_named(const std::string& name) {
  for (const Format format : {Format::csv, Format::tsv, Format::jsonl}) {
    if (name == name_of(format)) return format;
  }
  return std::nullopt;
}

Result<Format> format_of(const fs::path& path) {
  const std::string ending = path.extension().string();
  if (ending == ".csv") return Format::csv;
  if (ending == ".tsv" || ending == ".tab" || ending == ".txt") return Format::tsv;
  if (ending == ".jsonl" || ending == ".ndjson") return Format::jsonl;
  return Error{Errc::invalid_argument,
               path.string() + ": the ending \"" + ending + "\" says no format; say format: csv, tsv or jsonl"};
}

std::string Column::text() const { return number > 0 ? fmt::format("number {}", number) : fmt::format("\"{}\"", name); }

struct Table::State {
  std::string name;
  std::string text;  // `parser` looks into it: a State never moves
  std::uint64_t replaced = 0;
  bool skip_malformed = false;
  std::uint64_t skipped = 0;
  Format format = Format::csv;
  std::unique_ptr<RowParser> parser;
  std::vector<std::string> columns;
  std::optional<Row> pending;  // the first row, read ahead to know the columns
  std::uint64_t first_line = 1;
};

Table::Table(std::unique_ptr<State> state) : state_(std::move(state)) {}
Table::~Table() = default;
Table::Table(Table&&) noexcept = default;
Table& Table::operator=(Table&&) noexcept = default;

const std::vector<std::string>& Table::columns() const { return state_->columns; }
std::uint64_t Table::replaced() const { return state_->replaced; }
std::uint64_t Table::skipped() const { return state_->skipped; }

Error Table::error_at(std::uint64_t line, const std::string& message) const {
  return {Errc::invalid_argument, fmt::format("{}:{}: {}", state_->name, line, message)};
}

Result<Table> Table::open(const fs::path& path, const TableOptions& options, const TableLimits& limits) {
  TableOptions known = options;
  if (!known.format) {
    FATHOM_ASSIGN(known.format, format_of(path));
  }
  FATHOM_ASSIGN(std::string bytes, read_file(path.string(), limits.bytes));
  return read(std::move(bytes), known, path.string(), limits);
}

Result<Table> Table::read(std::string bytes, const TableOptions& options, const std::string& name,
                          const TableLimits& limits) {
  auto state = std::make_unique<State>();
  state->name = name;
  state->format = options.format.value_or(Format::csv);
  state->skip_malformed = options.skip_malformed;
  auto text = to_utf8(std::move(bytes), options.encoding, state->replaced);
  if (!text) return Error{text.error().code, name + ": " + text.error().message};
  state->text = std::move(text).value();
  switch (state->format) {
    case Format::csv:
      state->parser = csv_parser(state->text, limits);
      break;
    case Format::tsv:
      state->parser = tsv_parser(state->text, limits);
      break;
    case Format::jsonl:
      state->parser = jsonl_parser(state->text, limits);
      break;
  }
  Table table(std::move(state));
  State& own = *table.state_;
  Row row;
  FATHOM_ASSIGN(const bool any, table.next(row));
  if (!any) return Error{Errc::invalid_argument, name + ": the file is empty; expected a row of data at least"};
  const bool header = options.header && own.format != Format::jsonl;
  own.first_line = row.line;
  if (own.format == Format::jsonl) {
    own.columns = own.parser->keys();
  } else if (header) {
    own.columns = row.fields;
  } else {
    for (std::size_t i = 1; i <= row.fields.size(); ++i) own.columns.push_back(std::to_string(i));
  }
  if (!header) own.pending = std::move(row);
  return table;
}

Result<bool> Table::next(Row& row) {
  if (state_->pending) {
    row = std::move(*state_->pending);
    state_->pending.reset();
    return true;
  }
  RowMistake mistake;
  while (true) {
    switch (state_->parser->next(row, mistake)) {
      case RowParser::Got::end:
        return false;
      case RowParser::Got::mistake:
        return error_at(mistake.line, mistake.message);
      case RowParser::Got::row:
        break;
    }
    const std::size_t wanted = state_->columns.size();
    // A blank line is no row, unless rows have one column, which may be empty.
    if (wanted != 1 && row.fields.size() == 1 && row.fields[0].empty()) continue;
    if (wanted != 0 && row.fields.size() != wanted) {
      if (state_->skip_malformed) {
        ++state_->skipped;
        continue;
      }
      return error_at(row.line,
                      fmt::format("{} columns; expected {} as in line {}{}", row.fields.size(), wanted,
                                  state_->first_line, state_->format == Format::tsv ? " (separated by tabs)" : ""));
    }
    return true;
  }
}

Result<std::size_t> Table::find(const Column& column) const {
  const auto& names = state_->columns;
  if (column.number > 0 && column.number <= names.size()) return column.number - 1;
  const auto found = std::find(names.begin(), names.end(), column.name);
  if (column.number == 0 && found != names.end()) return static_cast<std::size_t>(found - names.begin());
  return Error{Errc::not_found, fmt::format("{}: there is no column {}; the columns are {}", state_->name,
                                            column.text(), fmt::join(names, ", "))};
}

}  // namespace fathom::data
