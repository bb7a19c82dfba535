#include <algorithm>

#include <fmt/format.h>

#include "data/row_parsers.hpp"

namespace fathom::data {

namespace {

// RFC 4180 with one kindness: a quote inside an unquoted field is an ordinary character.
class CsvParser final : public RowParser {
 public:
  CsvParser(std::string_view text, const TableLimits& limits) : text_(text), limits_(limits) {}

  Got next(Row& row, RowMistake& mistake) override {
    row.fields.clear();
    row.line = line_;
    if (at_ >= text_.size()) return Got::end;
    while (true) {
      std::string& field = row.fields.emplace_back();
      const bool good = text_[at_] == '"' ? quoted(field, mistake) : plain(field, mistake);
      if (!good) return Got::mistake;
      if (row.fields.size() > limits_.columns) {
        mistake = {row.line, fmt::format("more than {} columns", limits_.columns)};
        return Got::mistake;
      }
      if (at_ < text_.size() && text_[at_] == ',') {
        ++at_;
        if (at_ == text_.size()) {  // the file ends after a comma: one more, empty field
          row.fields.emplace_back();
          return Got::row;
        }
        continue;
      }
      skip_line_end();
      return Got::row;
    }
  }

 private:
  [[nodiscard]] bool at_line_end(std::size_t at) const {
    return at >= text_.size() || text_[at] == '\n' ||
           (text_[at] == '\r' && at + 1 < text_.size() && text_[at + 1] == '\n');
  }

  void skip_line_end() {
    if (at_ < text_.size() && text_[at_] == '\r') ++at_;
    if (at_ < text_.size()) ++at_;
    ++line_;
  }

  bool plain(std::string& field, RowMistake& mistake) {
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != ',' && !at_line_end(at_)) ++at_;
    // A last line that ends in a lone CR was cut off between CR and LF.
    std::size_t end = at_;
    if (end == text_.size() && end > begin && text_[end - 1] == '\r') --end;
    return fits(end - begin, line_, mistake) && (field.assign(text_.substr(begin, end - begin)), true);
  }

  bool quoted(std::string& field, RowMistake& mistake) {
    const std::uint64_t opened = line_;
    ++at_;
    while (true) {
      const std::size_t quote = text_.find('"', at_);
      if (quote == std::string_view::npos) {
        mistake = {opened, "a quote that is opened here is never closed"};
        return false;
      }
      field.append(text_.substr(at_, quote - at_));
      line_ += static_cast<std::uint64_t>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                                                     text_.begin() + static_cast<std::ptrdiff_t>(quote), '\n'));
      at_ = quote + 1;
      if (!fits(field.size(), opened, mistake)) return false;
      if (at_ >= text_.size() || text_[at_] != '"') break;
      field.push_back('"');
      ++at_;
    }
    if (at_ >= text_.size() || text_[at_] == ',' || at_line_end(at_)) return true;
    mistake = {line_,
               fmt::format("'{}' after a closing quote; expected a comma or the end of the line (a quote inside a "
                           "quoted field is written twice)",
                           text_[at_])};
    return false;
  }

  bool fits(std::size_t size, std::uint64_t line, RowMistake& mistake) const {
    if (size <= limits_.field) return true;
    mistake = {line, fmt::format("a field of more than {} bytes; is a quote left open?", limits_.field)};
    return false;
  }

  std::string_view text_;
  TableLimits limits_;
  std::size_t at_ = 0;
  std::uint64_t line_ = 1;
};

}  // namespace

std::unique_ptr<RowParser> csv_parser(std::string_view text, const TableLimits& limits) {
  return std::make_unique<CsvParser>(text, limits);
}

}  // namespace fathom::data
