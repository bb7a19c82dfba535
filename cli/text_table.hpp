// Tables on a terminal: columns as wide as their widest cell, numbers to the right. Thread: a plain value.
#pragma once

#include <string>
#include <vector>

namespace fathom::cli {

class TextTable {
 public:
  // A heading that begins with '>' is a column of numbers: it and its cells stand to the right.
  explicit TextTable(std::vector<std::string> headings);
  void row(std::vector<std::string> cells);  // missing cells are empty
  // Lines with headings; empty when there is no row.
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::string> headings_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

// Characters of UTF-8 text, which is what a terminal shows for the texts of our tables.
std::size_t width(const std::string& text);

// "3 s", "12 min", "2.5 h"
std::string duration_text(double seconds);
// "2026-11-24 22:09" in local time; empty for 0.
std::string time_text(long long unix_ms);

}  // namespace fathom::cli
