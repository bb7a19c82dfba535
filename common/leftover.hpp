// What a process leaves behind that ends inside write_file_atomic (files.hpp). Thread: a free function without state.
#pragma once

#include <string_view>

namespace fathom {

// The name of a file that was to become `file` and never did: it means nothing and may be there.
inline bool is_leftover_of(std::string_view name, std::string_view file) {
  constexpr std::string_view kMark = ".tmp.";
  constexpr std::size_t kDrawn = 6;  // characters of mkstemp
  return name.size() == file.size() + kMark.size() + kDrawn && name.starts_with(file) &&
         name.substr(file.size()).starts_with(kMark);
}

}  // namespace fathom
