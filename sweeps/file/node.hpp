// A YAML document as a tree that remembers where everything stood. Scalars stay text: the schema gives them their type.
// Thread: plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sweeps/file/report.hpp"

namespace fathom::sweeps {

struct Node {
  enum class Type { null, scalar, list, map };
  Type type = Type::null;
  std::string text;     // scalar; of a null, how it was written ("", "~", "null")
  bool quoted = false;  // a quoted scalar is text, never a number
  Mark mark;
  std::vector<Node> keys;   // map: scalars, beside `items`
  std::vector<Node> items;  // list, or the values of a map

  [[nodiscard]] bool is_map() const { return type == Type::map; }
  [[nodiscard]] bool is_list() const { return type == Type::list; }
  [[nodiscard]] bool is_scalar() const { return type == Type::scalar; }
  // The value of a key, or null. Keys are unique: read_yaml refuses a second one.
  [[nodiscard]] const Node* find(std::string_view key) const;
  Node* find(std::string_view key);
};

// "a map", "a list", "'text'", "nothing": for messages.
std::string describe(const Node& node);

// Limits on what comes from outside. Depth counts nested maps and lists; nodes count after aliases are spelled out.
inline constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxDepth = 32;
inline constexpr std::size_t kMaxNodes = 200'000;

// One document of block or flow YAML without tags. Nothing: the reason is in the report. `<<` is not merged.
std::optional<Node> read_yaml(const std::string& name, const std::string& text, Report& report);

// The tree as YAML that reads back to an equal tree (comments and anchors are gone).
std::string write_yaml(const Node& node);

}  // namespace fathom::sweeps
