// A pickle machine for dicts of tensors that cannot run code: it knows data opcodes and a handful of globals, which it
// turns into plain nodes. Everything else is refused by name. Memory is bounded by the input: every opcode makes at
// most one node, nodes refer to each other by number, text stays where it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "trainer/checkpoint/dtypes.hpp"

namespace fathom::trainer {

// The globals that a saved dict of tensors uses.
enum class PickleGlobal { ordered_dict, rebuild_tensor, rebuild_parameter, storage };

struct PickleNode {
  enum class Kind { none, boolean, integer, text, global, tuple, list, dict, storage, tensor };
  Kind kind = Kind::none;
  std::int64_t integer = 0;           // boolean, integer; storage: number of elements; tensor: offset in elements
  std::string_view text;              // text; storage: its key. A view into the input
  PickleGlobal global{};              // global
  const DType* dtype = nullptr;       // global of a storage class, storage
  std::vector<std::uint32_t> items;   // tuple, list; dict: key, value, key, value …; tensor: its storage
  std::vector<std::int64_t> sizes;    // tensor
  std::vector<std::int64_t> strides;  // tensor, in elements

  static PickleNode of(Kind kind, std::int64_t integer = 0) {
    PickleNode node;
    node.kind = kind;
    node.integer = integer;
    return node;
  }
};

class Unpickler {
 public:
  explicit Unpickler(std::span<const std::byte> input) : input_(input) {}

  // Runs one pickle from position `at` and moves `at` behind its STOP. Returns the number of the result's node. Nodes
  // of earlier calls stay valid. Errors (Errc::corrupt) name the opcode or global and the position.
  Result<std::uint32_t> load(std::size_t& at);
  [[nodiscard]] const PickleNode& node(std::uint32_t number) const { return nodes_[number]; }

 private:
  enum class Step { more, stop };
  Result<Step> step(std::uint8_t opcode);
  Status structure(std::uint8_t opcode, bool& known);
  Status scalar(std::uint8_t opcode, bool& known);
  Status memory(std::uint8_t opcode, bool& known);

  [[nodiscard]] Error wrong(const std::string& what) const;
  Result<std::uint64_t> number(std::size_t bytes);
  Result<std::string_view> text(std::uint64_t size);
  Result<std::string_view> line();
  std::uint32_t push(PickleNode node);
  Result<std::uint32_t> pop();
  Result<std::vector<std::uint32_t>> pop_to_mark();
  Result<std::vector<std::uint32_t>> pop_many(std::size_t count);
  Result<PickleNode*> top(PickleNode::Kind kind);
  Status push_text(std::size_t length_bytes);
  Status push_global(std::string_view module, std::string_view name);
  Status push_long();
  Status push_tuple(Result<std::vector<std::uint32_t>> items);
  Status set_items(const std::vector<std::uint32_t>& items);
  Status persistent();
  Status reduce();
  Status rebuild_tensor(const std::vector<std::uint32_t>& arguments);
  Result<std::vector<std::int64_t>> integers(std::uint32_t tuple) const;

  std::span<const std::byte> input_;
  std::size_t at_ = 0;
  std::vector<PickleNode> nodes_;
  std::vector<std::uint32_t> stack_;
  std::vector<std::size_t> marks_;  // stack sizes at MARKs
  std::map<std::uint64_t, std::uint32_t> memo_;
};

}  // namespace fathom::trainer
