// Where a mistake stands, and the list of them. Parsing goes on after an error, so that one pass shows all.
// Thread: a Report belongs to one parse.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
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

  // Errors beyond kMaxErrors are dropped: nobody reads them, and a hostile file may hold millions.
  void error(const Mark& at, std::string message);
  [[nodiscard]] bool clean() const { return errors_.empty(); }
  [[nodiscard]] std::size_t count() const { return errors_.size(); }
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
};

}  // namespace fathom::sweeps
