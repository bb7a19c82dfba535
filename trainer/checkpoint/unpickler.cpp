#include "trainer/checkpoint/unpickler.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include <fmt/format.h>

namespace fathom::trainer {
namespace {

using Kind = PickleNode::Kind;

// Opcodes by their names in Python's pickletools.
enum Opcode : std::uint8_t {
  kProto = 0x80,
  kFrame = 0x95,
  kStop = '.',
  kMark = '(',
  kPop = '0',
  kEmptyDict = '}',
  kEmptyTuple = ')',
  kEmptyList = ']',
  kTuple = 't',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kSetItem = 's',
  kSetItems = 'u',
  kAppend = 'a',
  kAppends = 'e',
  kBuild = 'b',
  kReduce = 'R',
  kPersistent = 'Q',
  kNone = 'N',
  kTrue = 0x88,
  kFalse = 0x89,
  kInt = 'J',
  kInt1 = 'K',
  kInt2 = 'M',
  kLong1 = 0x8a,
  kText = 'X',
  kShortText = 0x8c,
  kText8 = 0x8d,
  kString = 'T',
  kShortString = 'U',
  kGlobal = 'c',
  kStackGlobal = 0x93,
  kPut = 'q',
  kLongPut = 'r',
  kMemoize = 0x94,
  kGet = 'h',
  kLongGet = 'j',
};

}  // namespace

Error Unpickler::wrong(const std::string& what) const {
  return Error{Errc::corrupt, fmt::format("pickle, byte {}: {}", at_, what)};
}

Result<std::uint64_t> Unpickler::number(std::size_t bytes) {
  if (input_.size() - at_ < bytes) return wrong("truncated");
  std::uint64_t value = 0;
  std::memcpy(&value, input_.data() + at_, bytes);
  at_ += bytes;
  return value;
}

Result<std::string_view> Unpickler::text(std::uint64_t size) {
  if (size > input_.size() - at_) return wrong("a string reaches beyond the end");
  const std::string_view view(reinterpret_cast<const char*>(input_.data()) + at_, size);
  at_ += size;
  return view;
}

Result<std::string_view> Unpickler::line() {
  const std::string_view rest(reinterpret_cast<const char*>(input_.data()) + at_, input_.size() - at_);
  const auto end = rest.find('\n');
  if (end == std::string_view::npos) return wrong("a line without end");
  at_ += end + 1;
  return rest.substr(0, end);
}

std::uint32_t Unpickler::push(PickleNode node) {
  nodes_.push_back(std::move(node));
  stack_.push_back(static_cast<std::uint32_t>(nodes_.size() - 1));
  return stack_.back();
}

Result<std::uint32_t> Unpickler::pop() {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) return wrong("the stack is empty");
  const std::uint32_t top = stack_.back();
  stack_.pop_back();
  return top;
}

Result<std::vector<std::uint32_t>> Unpickler::pop_many(std::size_t count) {
  std::vector<std::uint32_t> items(count);
  for (std::size_t i = count; i-- > 0;) {
    FATHOM_ASSIGN(auto item, pop());
    items[i] = item;
  }
  return items;
}

Result<std::vector<std::uint32_t>> Unpickler::pop_to_mark() {
  if (marks_.empty()) return wrong("no mark on the stack");
  const std::size_t from = marks_.back();
  marks_.pop_back();
  std::vector<std::uint32_t> items(stack_.begin() + static_cast<std::ptrdiff_t>(from), stack_.end());
  stack_.resize(from);
  return items;
}

Result<PickleNode*> Unpickler::top(Kind kind) {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) return wrong("the stack is empty");
  PickleNode& node = nodes_[stack_.back()];
  if (node.kind != kind) return wrong("the object on the stack is of another kind");
  return &node;
}

Status Unpickler::push_text(std::size_t length_bytes) {
  FATHOM_ASSIGN(auto size, number(length_bytes));
  FATHOM_ASSIGN(auto view, text(size));
  PickleNode node = PickleNode::of(Kind::text);
  node.text = view;
  push(std::move(node));
  return success();
}

Status Unpickler::push_long() {
  FATHOM_ASSIGN(auto size, number(1));
  FATHOM_ASSIGN(auto digits, text(size));
  // Two's complement, little-endian. torch writes its magic number this way, which needs more than 64 bits: only its
  // low part is kept, nobody compares it.
  std::uint64_t value = !digits.empty() && (digits.back() & 0x80) ? ~std::uint64_t{0} : 0;
  std::memcpy(&value, digits.data(), std::min<std::size_t>(digits.size(), sizeof(value)));
  push(PickleNode::of(Kind::integer, static_cast<std::int64_t>(value)));
  return success();
}

Status Unpickler::push_tuple(Result<std::vector<std::uint32_t>> items) {
  if (!items) return items.error();
  PickleNode node = PickleNode::of(Kind::tuple);
  node.items = std::move(*items);
  push(std::move(node));
  return success();
}

Status Unpickler::set_items(const std::vector<std::uint32_t>& items) {
  FATHOM_ASSIGN(auto dict, top(Kind::dict));
  if (items.size() % 2 != 0) return wrong("a key without value");
  dict->items.insert(dict->items.end(), items.begin(), items.end());
  return success();
}

Status Unpickler::scalar(std::uint8_t opcode, bool& known) {
  const auto sized = [&](std::size_t bytes, bool is_signed) -> Status {
    FATHOM_ASSIGN(auto value, number(bytes));
    push(
        PickleNode::of(Kind::integer, is_signed ? static_cast<std::int32_t>(value) : static_cast<std::int64_t>(value)));
    return success();
  };
  switch (opcode) {
    case kNone:
      push(PickleNode::of(Kind::none));
      return success();
    case kTrue:
      push(PickleNode::of(Kind::boolean, 1));
      return success();
    case kFalse:
      push(PickleNode::of(Kind::boolean, 0));
      return success();
    case kInt:
      return sized(4, true);
    case kInt1:
      return sized(1, false);
    case kInt2:
      return sized(2, false);
    case kLong1:
      return push_long();
    case kText:
    case kString:
      return push_text(4);
    case kShortText:
    case kShortString:
      return push_text(1);
    case kText8:
      return push_text(8);
    case kGlobal: {
      FATHOM_ASSIGN(auto module, line());
      FATHOM_ASSIGN(auto name, line());
      return push_global(module, name);
    }
    case kStackGlobal: {
      FATHOM_ASSIGN(auto parts, pop_many(2));
      return push_global(nodes_[parts[0]].text, nodes_[parts[1]].text);
    }
    default:
      known = false;
      return success();
  }
}

Status Unpickler::structure(std::uint8_t opcode, bool& known) {
  switch (opcode) {
    case kMark:
      marks_.push_back(stack_.size());
      return success();
    case kEmptyDict:
      push(PickleNode::of(Kind::dict));
      return success();
    case kEmptyList:
      push(PickleNode::of(Kind::list));
      return success();
    case kEmptyTuple:
      return push_tuple(std::vector<std::uint32_t>{});
    case kTuple:
      return push_tuple(pop_to_mark());
    case kTuple1:
    case kTuple2:
    case kTuple3:
      return push_tuple(pop_many(static_cast<std::size_t>(opcode - kTuple1 + 1)));
    case kSetItem:
    case kSetItems: {
      FATHOM_ASSIGN(auto items, opcode == kSetItem ? pop_many(2) : pop_to_mark());
      return set_items(items);
    }
    case kAppend:
    case kAppends: {
      FATHOM_ASSIGN(auto items, opcode == kAppend ? pop_many(1) : pop_to_mark());
      FATHOM_ASSIGN(auto list, top(Kind::list));
      list->items.insert(list->items.end(), items.begin(), items.end());
      return success();
    }
    case kPop:
    case kBuild: {  // BUILD sets attributes (a state dict's _metadata): dropped
      FATHOM_TRY(pop());
      return success();
    }
    case kReduce:
      return reduce();
    case kPersistent:
      return persistent();
    default:
      known = false;
      return success();
  }
}

Status Unpickler::memory(std::uint8_t opcode, bool& known) {
  const auto put = [&](std::uint64_t slot) -> Status {
    if (stack_.empty()) return wrong("nothing to remember");
    memo_[slot] = stack_.back();
    return success();
  };
  switch (opcode) {
    case kPut:
    case kLongPut: {
      FATHOM_ASSIGN(auto slot, number(opcode == kPut ? 1 : 4));
      return put(slot);
    }
    case kMemoize:
      return put(memo_.size());
    case kGet:
    case kLongGet: {
      FATHOM_ASSIGN(auto slot, number(opcode == kGet ? 1 : 4));
      const auto found = memo_.find(slot);
      if (found == memo_.end()) return wrong("nothing was remembered there");
      stack_.push_back(found->second);
      return success();
    }
    case kProto:
    case kFrame: {
      FATHOM_TRY(number(opcode == kProto ? 1 : 8));
      return success();
    }
    default:
      known = false;
      return success();
  }
}

Result<Unpickler::Step> Unpickler::step(std::uint8_t opcode) {
  if (opcode == kStop) return Step::stop;
  for (const auto group : {&Unpickler::structure, &Unpickler::scalar, &Unpickler::memory}) {
    bool known = true;
    FATHOM_TRY((this->*group)(opcode, known));
    if (known) return Step::more;
  }
  return wrong(fmt::format("opcode 0x{:02x} is not one that a file of weights needs; refused", opcode));
}

Result<std::uint32_t> Unpickler::load(std::size_t& at) {
  at_ = at;
  stack_.clear();
  marks_.clear();
  memo_.clear();
  if (at_ > input_.size()) return wrong("truncated");
  for (;;) {
    FATHOM_ASSIGN(auto opcode, number(1));
    FATHOM_ASSIGN(auto next, step(static_cast<std::uint8_t>(opcode)));
    if (next == Step::stop) break;
  }
  at = at_;
  return pop();
}

}  // namespace fathom::trainer
