#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "data/row_parsers.hpp"

namespace fathom::data {

namespace {

// Lines end at LF only. Where the first line ends in CRLF, the CR is taken off every line; elsewhere it is text.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {
    const std::size_t first = text.find('\n');
    crlf_ = first != std::string_view::npos && first > 0 && text[first - 1] == '\r';
  }

  bool next(std::string_view& line) {
    if (at_ >= text_.size()) return false;
    std::size_t end = text_.find('\n', at_);
    if (end == std::string_view::npos) end = text_.size();
    line = text_.substr(at_, end - at_);
    if (crlf_ && line.ends_with('\r')) line.remove_suffix(1);
    at_ = end + 1;
    ++number_;
    return true;
  }
  [[nodiscard]] std::uint64_t number() const { return number_; }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
  std::uint64_t number_ = 0;
  bool crlf_ = false;
};

class TsvParser final : public RowParser {
 public:
  TsvParser(std::string_view text, const TableLimits& limits) : lines_(text), limits_(limits) {}

  Got next(Row& row, RowMistake& mistake) override {
    std::string_view line;
    if (!lines_.next(line)) return Got::end;
    row.line = lines_.number();
    row.fields.clear();
    while (true) {
      const std::size_t tab = line.find('\t');
      const std::string_view field = line.substr(0, tab);
      if (field.size() > limits_.field || row.fields.size() >= limits_.columns) {
        mistake = {row.line, fmt::format("a field of more than {} bytes, or more than {} columns", limits_.field,
                                         limits_.columns)};
        return Got::mistake;
      }
      row.fields.emplace_back(field);
      if (tab == std::string_view::npos) return Got::row;
      line.remove_prefix(tab + 1);
    }
  }

 private:
  Lines lines_;
  TableLimits limits_;
};

using Json = nlohmann::ordered_json;

// Text as it is, numbers and truth values as JSON writes them, null as nothing.
std::string cell(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? std::string() : value.dump();
}

class JsonlParser final : public RowParser {
 public:
  JsonlParser(std::string_view text, const TableLimits& limits) : lines_(text), limits_(limits) {}

  Got next(Row& row, RowMistake& mistake) override {
    std::string_view line;
    do {
      if (!lines_.next(line)) return Got::end;
    } while (line.find_first_not_of(" \t\r") == std::string_view::npos);
    row.line = lines_.number();
    row.fields.clear();
    const auto wrong = [&](std::string message) {
      mistake = {row.line, std::move(message)};
      return Got::mistake;
    };
    if (line.size() > limits_.field) return wrong(fmt::format("a line of more than {} bytes", limits_.field));
    const Json object = Json::parse(line, nullptr, false);
    if (!object.is_object()) return wrong("not a JSON object; expected one on each line");
    if (keys_.empty()) {
      for (const auto& [key, value] : object.items()) keys_.push_back(key);
      if (keys_.empty() || keys_.size() > limits_.columns) return wrong("an object without keys, or with too many");
    }
    for (const std::string& key : keys_) {
      const auto found = object.find(key);
      if (found == object.end()) return wrong("the key \"" + key + "\" of the first line is missing here");
      row.fields.push_back(cell(*found));
    }
    return Got::row;
  }

  [[nodiscard]] std::vector<std::string> keys() const override { return keys_; }

 private:
  Lines lines_;
  TableLimits limits_;
  std::vector<std::string> keys_;
};

}  // namespace

std::unique_ptr<RowParser> tsv_parser(std::string_view text, const TableLimits& limits) {
  return std::make_unique<TsvParser>(text, limits);
}

std::unique_ptr<RowParser> jsonl_parser(std::string_view text, const TableLimits& limits) {
  return std::make_unique<JsonlParser>(text, limits);
}

}  // namespace fathom::data
