// The tree of an adapter setup as JSON: {"type": "Fuse", "children": […], "kwargs": {…}}, as adapter_setup.json holds
// it. Thread: free functions without state; `parts` is called on the caller's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "common/result.hpp"
#include "trainer/adapters/setup.hpp"

namespace fathom::trainer {

// Where a tree's parts come from. Names have been checked: they are no paths.
struct SetupParts {
  std::function<Result<std::shared_ptr<const Adapter>>(const std::string& name)> adapter;
  // `name`: kwargs.name; files of the library lack it unless custom. `members`: the adapters below the Fuse, in order.
  std::function<Result<std::shared_ptr<const Fusion>>(const std::optional<std::string>& name,
                                                      const std::vector<std::string>& members)>
      fusion;
};

// null is the bare model. Block names in any case; each adapter is asked for once and shared. Weights of an average are
// divided by their sum and batch_sizes given as one number stand for all children, as the library does it. corrupt: not
// such a tree, blocks too deep, a name that is a path. The tree is not checked against a model: see check_setup().
Result<Setup> read_setup_tree(const nlohmann::json& node, const SetupParts& parts);

// unsupported: rows without adapter, which the library has no block for.
Result<nlohmann::json> setup_tree(const Setup& setup);

}  // namespace fathom::trainer
