// YAML text as JSON with the place of every value, for files whose shape is not a flat list of settings (data recipes).
// Plain scalars: null ~ true false, decimal integers and floats are what they look like, everything else is text (`no`
// and `007` are text); what is quoted is always text. Maps keep the file's order.
// Limits: 1 MiB, 64 levels, 100,000 values (aliases count each time they are used). Tabs in the indentation, duplicate
// keys and keys that are no plain text are errors. Thread: free functions without state.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "common/result.hpp"

namespace fathom {

// Counted from 1.
struct YamlMark {
  int line = 1;
  int column = 1;
};

struct YamlDocument {
  std::string name;  // of the file, for messages
  nlohmann::ordered_json value;
  std::map<std::string, YamlMark> marks;  // by JSON pointer: the key of a map's value, the item of a list

  // "name:line:column: error: message", placed at the nearest marked parent of `pointer`.
  [[nodiscard]] Error error_at(const std::string& pointer, const std::string& message) const;
};

// invalid_argument with name:line:column for a mistake.
Result<YamlDocument> parse_yaml(std::string_view text, const std::string& name);

}  // namespace fathom
