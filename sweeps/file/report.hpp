// Where a mistake stands, and the list of them. Parsing goes on after an error, so that one pass shows all.
// Thread: a Report belongs to one parse.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "sweeps/sweep.hpp"

namespace fathom::sweeps {

// A place in one of the sources; line and column count from 1, column and length in characters (code points).
struct Mark {
  std::uint32_t source = 0;
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  std::uint32_t length = 1;
};

class Report {
 public:
  // A file, or one --set override, that marks can point into. Returns its number.
  std::uint32_t add_source(std::string name, std::string text);
  [[nodiscard]] const std::string& name(std::uint32_t source) const { return sources_[source].name; }

  // Errors beyond kMaxErrors are only counted: nobody reads them, and a hostile file may hold millions.
  void error(const Mark& at, std::string message);
  [[nodiscard]] bool clean() const { return errors_.empty(); }
  // How often error() was called: a part of the file that is read twice and flawed tells its mistakes both times.
  [[nodiscard]] std::size_t told() const { return told_; }
  // Errors that take() does not give.
  [[nodiscard]] std::size_t more() const { return further_.size(); }
  // In order of source, line and column.
  [[nodiscard]] std::vector<Diagnostic> take();

  static constexpr std::size_t kMaxErrors = 100;

 private:
  struct Source {
    std::string name;
    std::string text;
  };
  struct Located {
    Mark at;
    std::string message;
  };
  [[nodiscard]] std::string line_text(const Mark& at) const;

  std::vector<Source> sources_;
  std::vector<Located> errors_;
  std::unordered_set<std::size_t> further_;  // hashes of those beyond kMaxErrors
  std::size_t told_ = 0;
};

}  // namespace fathom::sweeps
