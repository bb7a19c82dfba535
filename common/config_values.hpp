// How one value of a config file is read from its text and written back. Internal to the config reader.
// Thread: plain values.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/config.hpp"

namespace fathom::config {

// The field of the program's struct that a key fills.
using Field = std::variant<bool*, std::int64_t*, std::uint32_t*, double*, std::string*, std::vector<std::string>*,
                           Millis*, Bytes*>;
// A checked value that waits to be stored; the alternatives stand in the order of Field's.
using Value =
    std::variant<bool, std::int64_t, std::uint32_t, double, std::string, std::vector<std::string>, Millis, Bytes>;

struct Key {
  std::string name;
  Field field;
  std::string help;
  Bounds bounds;
};

// `texts` has one element except for lists. The error says what was expected: "expected a duration such as 500ms, …".
Result<Value> read(const Key& key, const std::vector<std::string>& texts, bool quoted);
void store(const Key& key, Value value);
// As YAML.
std::string show(const Key& key);
bool is_list(const Key& key);

}  // namespace fathom::config
