#include "sweeps/file/merge.hpp"

#include <filesystem>

#include "sweeps/schema/values.hpp"

namespace fathom::sweeps {
namespace {

constexpr std::size_t kMaxIncludes = 16;  // files in one chain; also what ends a circle

class Loader {
 public:
  Loader(const ParseOptions& options, Report& report) : options_(options), report_(report) {}

  std::optional<Node> read(const std::string& name, const std::string& folder, const std::string& text,
                           std::size_t depth) {
    auto node = read_yaml(name, text, report_);
    if (!node || !node->is_map()) return node;
    const Node* include = node->find("include");
    if (!include) return node;
    Node base;
    base.type = Node::Type::map;
    base.mark = node->mark;
    const Node asked = *include;
    if (asked.is_list() && !asked.items.empty()) {
      for (const Node& file : asked.items) add(base, file, folder, depth);
    } else {
      add(base, asked, folder, depth);
    }
    Node own = *std::move(node);
    for (std::size_t i = 0; i < own.keys.size(); ++i) {
      if (own.keys[i].text != "include") continue;
      own.keys.erase(own.keys.begin() + static_cast<std::ptrdiff_t>(i));
      own.items.erase(own.items.begin() + static_cast<std::ptrdiff_t>(i));
      break;
    }
    merge(base, own);
    return base;
  }

 private:
  void add(Node& base, const Node& file, const std::string& folder, std::size_t depth) {
    if (!file.is_scalar()) {
      report_.error(file.mark, "include: expected a file name or a list of them, found " + describe(file));
      return;
    }
    if (!options_.read_include) {
      report_.error(file.mark, "include: files are merged by `fathom` before it submits; send the merged text");
      return;
    }
    if (depth >= kMaxIncludes) {
      report_.error(file.mark,
                    "include: more than " + std::to_string(kMaxIncludes) + " files deep; do they include each other?");
      return;
    }
    const auto path = (std::filesystem::path(folder) / file.text).lexically_normal();
    const auto text = options_.read_include(path.string());
    if (!text) {
      report_.error(file.mark, "include: cannot read '" + file.text + "': " + text.error().message);
      return;
    }
    if (const auto node = read(path.string(), path.parent_path().string(), *text, depth + 1)) merge(base, *node);
  }

  const ParseOptions& options_;
  Report& report_;
};

// Walks or makes the maps on the way; a rest that is a key as a whole ("train.lr" in `parameters`) is taken as one.
Node* place(Node& root, std::string_view path, const Mark& at, Report& report) {
  Node* node = &root;
  while (true) {
    if (node->type == Node::Type::null) node->type = Node::Type::map;
    if (!node->is_map()) {
      report.error(at, "--set " + std::string(path) + ": there is " + describe(*node) + " on the way, not a map");
      return nullptr;
    }
    if (Node* whole = node->find(path)) return whole;
    const std::size_t dot = path.find('.');
    const std::string key(path.substr(0, dot));
    Node* next = node->find(key);
    if (!next) {
      Node name;
      name.type = Node::Type::scalar;
      name.text = key;
      name.mark = at;
      node->keys.push_back(name);
      node->items.emplace_back();
      node->items.back().mark = at;
      next = &node->items.back();
    }
    if (dot == std::string_view::npos) return next;
    node = next;
    path.remove_prefix(dot + 1);
  }
}

void apply_set(Node& root, const std::string& assignment, Report& report) {
  const std::size_t equals = assignment.find('=');
  const std::string path = assignment.substr(0, equals);
  if (equals == std::string::npos || path.empty()) {
    report.error({report.add_source("--set", assignment), 1, 1, 1}, "expected KEY=VALUE, such as train.epochs=2");
    return;
  }
  const auto value = read_yaml("--set " + path, assignment.substr(equals + 1), report);
  if (!value) return;
  if (Node* target = place(root, path, value->mark, report)) *target = *value;
}

}  // namespace

void merge(Node& base, const Node& over) {
  if (!base.is_map() || !over.is_map()) {
    base = over;
    return;
  }
  for (std::size_t i = 0; i < over.items.size(); ++i) {
    if (Node* known = base.find(over.keys[i].text)) {
      merge(*known, over.items[i]);
    } else {
      base.keys.push_back(over.keys[i]);
      base.items.push_back(over.items[i]);
    }
  }
}

std::optional<Node> load(const std::string& yaml, const ParseOptions& options, Report& report) {
  auto node = Loader(options, report).read(options.file, "", yaml, 0);
  if (!node) return std::nullopt;
  if (!node->is_map()) {
    report.error(node->mark, "a sweep file is a map of keys, found " + describe(*node));
    return std::nullopt;
  }
  for (const std::string& assignment : options.set) apply_set(*node, assignment, report);
  return node;
}

MergeResult whole_file(const std::string& text, const ParseOptions& options) {
  if (options.set.empty()) return merge_includes(text, options);
  MergeResult result;
  Report report;
  const auto node = load(text, options, report);
  result.errors = report.take();
  if (node && result.errors.empty()) result.yaml = write_yaml(*node);
  return result;
}

MergeResult merge_includes(const std::string& text, const ParseOptions& options) {
  MergeResult result;
  Report report;
  ParseOptions without_set = options;
  without_set.set.clear();
  const auto node = load(text, without_set, report);
  result.errors = report.take();
  if (!node || !result.errors.empty()) return result;
  // `include` is gone from the tree; a file that never had it keeps its comments and line numbers.
  Report again;
  const auto own = read_yaml(options.file, text, again);
  result.yaml = own && own->find("include") ? write_yaml(*node) : text;
  return result;
}

}  // namespace fathom::sweeps
