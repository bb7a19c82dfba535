// What the pickle machine builds from globals: storages, tensors, dicts. The whitelist is here.
#include <string>

#include <fmt/format.h>

#include "trainer/checkpoint/unpickler.hpp"

namespace fathom::trainer {
namespace {

using Kind = PickleNode::Kind;

constexpr std::size_t kMaxDimensions = 16;

}  // namespace

// The whitelist.
Status Unpickler::push_global(std::string_view module, std::string_view name) {
  PickleNode node = PickleNode::of(Kind::global);
  if (module == "collections" && name == "OrderedDict") {
    node.global = PickleGlobal::ordered_dict;
  } else if (module == "torch._utils" && name == "_rebuild_tensor_v2") {
    node.global = PickleGlobal::rebuild_tensor;
  } else if (module == "torch._utils" && name == "_rebuild_parameter") {
    node.global = PickleGlobal::rebuild_parameter;
  } else if (module == "torch" && dtype_by_storage(name)) {
    node.global = PickleGlobal::storage;
    node.dtype = dtype_by_storage(name);
  } else {
    return wrong(fmt::format("it wants {}.{}, which a file of weights has no need of; refused", module.substr(0, 100),
                             name.substr(0, 100)));
  }
  push(std::move(node));
  return success();
}

// ("storage", class, key, location, elements[, view]): torch's reference to raw data outside the pickle.
Status Unpickler::persistent() {
  FATHOM_ASSIGN(auto id, pop());
  const PickleNode& tuple = nodes_[id];
  const bool shaped = tuple.kind == Kind::tuple && tuple.items.size() >= 5;
  if (!shaped) return wrong("a persistent id that is no storage");
  const PickleNode& type = nodes_[tuple.items[1]];
  const PickleNode& key = nodes_[tuple.items[2]];
  const PickleNode& count = nodes_[tuple.items[4]];
  if (nodes_[tuple.items[0]].text != "storage" || type.kind != Kind::global || !type.dtype || key.kind != Kind::text ||
      count.kind != Kind::integer || count.integer < 0) {
    return wrong("a persistent id that is no storage");
  }
  if (tuple.items.size() > 5 && nodes_[tuple.items[5]].kind != Kind::none) {
    return wrong("a view of a storage, as torch before 0.4 wrote them, is not supported");
  }
  PickleNode storage = PickleNode::of(Kind::storage, count.integer);
  storage.text = key.text;
  storage.dtype = type.dtype;
  push(std::move(storage));
  return success();
}

Result<std::vector<std::int64_t>> Unpickler::integers(std::uint32_t number) const {
  const PickleNode& tuple = nodes_[number];
  if (tuple.kind != Kind::tuple || tuple.items.size() > kMaxDimensions) return wrong("sizes of a tensor are no tuple");
  std::vector<std::int64_t> out;
  for (const std::uint32_t item : tuple.items) {
    if (nodes_[item].kind != Kind::integer || nodes_[item].integer < 0) return wrong("a size of a tensor is no number");
    out.push_back(nodes_[item].integer);
  }
  return out;
}

// _rebuild_tensor_v2(storage, offset, sizes, strides, requires_grad, hooks)
Status Unpickler::rebuild_tensor(const std::vector<std::uint32_t>& arguments) {
  if (arguments.size() < 4 || nodes_[arguments[0]].kind != Kind::storage ||
      nodes_[arguments[1]].kind != Kind::integer || nodes_[arguments[1]].integer < 0) {
    return wrong("a tensor without storage or offset");
  }
  PickleNode tensor = PickleNode::of(Kind::tensor, nodes_[arguments[1]].integer);
  tensor.items = {arguments[0]};
  FATHOM_ASSIGN(auto sizes, integers(arguments[2]));
  FATHOM_ASSIGN(auto strides, integers(arguments[3]));
  if (sizes.size() != strides.size()) return wrong("sizes and strides of a tensor differ in number");
  tensor.sizes = std::move(sizes);
  tensor.strides = std::move(strides);
  push(std::move(tensor));
  return success();
}

Status Unpickler::reduce() {
  FATHOM_ASSIGN(auto arguments, pop());
  FATHOM_ASSIGN(auto callee, pop());
  if (nodes_[callee].kind != Kind::global || nodes_[arguments].kind != Kind::tuple)
    return wrong("a call of no function");
  const std::vector<std::uint32_t> items = nodes_[arguments].items;
  switch (nodes_[callee].global) {
    case PickleGlobal::rebuild_tensor:
      return rebuild_tensor(items);
    case PickleGlobal::rebuild_parameter:  // (tensor, requires_grad, hooks): the tensor
      if (items.empty() || nodes_[items[0]].kind != Kind::tensor) return wrong("a parameter without tensor");
      stack_.push_back(items[0]);
      return success();
    case PickleGlobal::ordered_dict:
      if (!items.empty()) return wrong("an OrderedDict with arguments is not supported");
      push(PickleNode::of(Kind::dict));
      return success();
    case PickleGlobal::storage:
      break;
  }
  return wrong("a storage class cannot be called");
}

}  // namespace fathom::trainer
