#include "trainer/checkpoint/setup_tree.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>

#include <nlohmann/json.hpp>

#include "common/part_names.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 8;
constexpr std::size_t kMaxChildren = 1024;

// The class names of the library's composition blocks.
constexpr std::array<std::pair<SetupKind, const char*>, 6> kBlocks = {{{SetupKind::single, "single"},
                                                                       {SetupKind::stack, "Stack"},
                                                                       {SetupKind::fuse, "Fuse"},
                                                                       {SetupKind::average, "Average"},
                                                                       {SetupKind::parallel, "Parallel"},
                                                                       {SetupKind::batch_split, "BatchSplit"}}};

const char* block_name(SetupKind kind) {
  for (const auto& [known, name] : kBlocks) {
    if (known == kind) return name;
  }
  return "";
}

bool same_word(const std::string& a, const std::string& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

Error wrong(const std::string& what) { return Error{Errc::corrupt, what}; }

class TreeReader {
 public:
  explicit TreeReader(const SetupParts& parts) : parts_(parts) {}

  Result<Setup> read(const json& node, int depth = 0) {
    const bool block = node.is_object() && node.contains("children") && node["children"].is_array();
    if (depth > kMaxDepth || !block) return wrong("a block without children, or blocks too deep");
    const json type = node.value("type", json());
    const auto known = std::find_if(kBlocks.begin(), kBlocks.end(), [&](const auto& entry) {
      return type.is_string() && same_word(type.get<std::string>(), entry.second);
    });
    if (known == kBlocks.end()) return wrong("unknown block " + type.dump());
    const json& children = node["children"];
    if (known->first == SetupKind::single) return single(children);
    if (children.empty() || children.size() > kMaxChildren) return wrong("a block has 1 to 1024 children");
    Setup setup;
    setup.kind = known->first;
    for (const json& child : children) {
      // A bare name stands for a single adapter.
      const json part = child.is_string() ? json{{"type", "single"}, {"children", json::array({child})}} : child;
      FATHOM_ASSIGN(Setup below, read(part, depth + 1));
      setup.children.push_back(std::move(below));
    }
    FATHOM_TRY(arguments(node.value("kwargs", json::object()), setup));
    return setup;
  }

 private:
  Result<Setup> single(const json& children) {
    if (children.size() != 1 || !children[0].is_string()) return wrong("a single names one adapter");
    const auto name = children[0].get<std::string>();
    FATHOM_TRY(check_adapter_name(name));
    auto& adapter = adapters_[name];
    if (!adapter) {
      FATHOM_ASSIGN(adapter, parts_.adapter(name));
    }
    return Setup::single(adapter);
  }

  Status arguments(const json& kwargs, Setup& setup) {
    if (!kwargs.is_object()) return wrong("kwargs is no object");
    switch (setup.kind) {
      case SetupKind::batch_split:
        return sizes(kwargs.value("batch_sizes", json::array()), setup);
      case SetupKind::average:
        return weights(kwargs.value("weights", json()), setup);
      case SetupKind::fuse:
        return fusion(kwargs.value("name", json()), setup);
      default:
        return success();
    }
  }

  static Status sizes(const json& given, Setup& setup) {
    const json list = given.is_number_integer() ? json(std::vector<json>(setup.children.size(), given)) : given;
    if (!list.is_array()) return wrong("batch_sizes are numbers of rows");
    for (const json& size : list) {
      if (!size.is_number_integer()) return wrong("batch_sizes are numbers of rows");
      setup.batch_sizes.push_back(size.get<std::int64_t>());
    }
    return success();
  }

  static Status weights(const json& given, Setup& setup) {
    if (!given.is_null() && !given.is_array()) return wrong("weights are numbers");
    double sum = 0;
    for (const json& weight : given.is_null() ? json::array() : given) {
      if (!weight.is_number()) return wrong("weights are numbers");
      setup.weights.push_back(weight.get<double>());
      sum += setup.weights.back();
    }
    if (setup.weights.empty()) {
      setup.weights.assign(setup.children.size(), 1.0);
      sum = static_cast<double>(setup.children.size());
    }
    if (!(sum > 0) || !std::isfinite(sum)) return wrong("weights do not sum to a number above 0");
    for (double& weight : setup.weights) weight /= sum;
    return success();
  }

  Status fusion(const json& given, Setup& setup) {
    std::optional<std::string> name;
    if (given.is_string()) name = given.get<std::string>();
    if (name) FATHOM_TRY(check_part_name("fusion", *name));
    std::vector<std::string> members;
    for (const Setup& child : setup.children) {
      for (const auto& adapter : child.adapters()) members.push_back(adapter->name);
    }
    FATHOM_ASSIGN(setup.fusion, parts_.fusion(name, members));
    return success();
  }

  const SetupParts& parts_;
  std::map<std::string, std::shared_ptr<const Adapter>> adapters_;
};

}  // namespace

Result<Setup> read_setup_tree(const json& node, const SetupParts& parts) {
  if (node.is_null()) return Setup::none();
  return TreeReader(parts).read(node);
}

Result<json> setup_tree(const Setup& setup) {
  if (setup.kind == SetupKind::none) {
    return Error{Errc::unsupported, "a setup with rows without adapter has no form that the adapters library knows"};
  }
  json node = {{"type", block_name(setup.kind)}, {"children", json::array()}};
  if (setup.kind == SetupKind::single) {
    node["children"].push_back(setup.adapter->name);
    return node;
  }
  for (const Setup& child : setup.children) {
    FATHOM_ASSIGN(json part, setup_tree(child));
    node["children"].push_back(std::move(part));
  }
  if (setup.kind == SetupKind::batch_split) node["kwargs"] = {{"batch_sizes", setup.batch_sizes}};
  if (setup.kind == SetupKind::average) node["kwargs"] = {{"weights", setup.weights}};
  return node;
}

}  // namespace fathom::trainer
