#include "sweeps/resolve/depths.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "sweeps/expand/expander.hpp"
#include "sweeps/schema/values.hpp"

namespace fathom::sweeps {
namespace {

class DepthCheck {
 public:
  DepthCheck(std::uint32_t layers, Report& report) : layers_(layers), report_(report) {}

  // A number, a range, or a list of these. A range is one place of the file, so it is told once, by its deepest.
  void depths(const Node* node, const std::string& what) {
    if (node == nullptr) return;
    if (node->is_list()) {
      for (const Node& item : node->items) depths(&item, what);
      return;
    }
    if (!node->is_scalar() || node->quoted) return;
    if (const auto range = parse_range(node->text)) return hold(std::max(range->first, range->second), *node, what);
    const auto value = parse_number(node->text);
    if (value && *value >= 0 && *value <= 1000) hold(static_cast<std::int64_t>(*value), *node, what);
  }

  void stage(const Node& node) {
    if (const Node* drop = node.find("drop")) {
      depths(drop->find("specialized"), "drop depth");
      depths(drop->find("robust"), "drop depth");
    }
    depths(node.find("depths"), "depth");
    const Node* subjects = node.find("subjects");
    for (const char* subject : {"adapter", "fusion", "parallel"}) {
      const Node* one = subjects ? subjects->find(subject) : nullptr;
      if (one) depths(one->find("depths"), "depth");
    }
  }

 private:
  void hold(std::int64_t depth, const Node& node, const std::string& what) {
    if (depth >= static_cast<std::int64_t>(layers_))
      report_.error(node.mark, beyond_model(what, static_cast<std::uint64_t>(depth), layers_));
  }

  std::uint32_t layers_;
  Report& report_;
};

}  // namespace

void check_depths(const Node& root, std::uint32_t layers, Report& report) {
  DepthCheck check(layers, report);
  if (const Node* objective = root.find("objective")) check.depths(objective->find("depth"), "objective.depth");
  const Node* stages = root.find("stages");
  for (const Node& stage : stages ? stages->items : std::vector<Node>{}) check.stage(stage);
}

}  // namespace fathom::sweeps
