#include "trainer/adapters/drop.hpp"

#include <algorithm>
#include <memory>

namespace fathom::trainer {

Setup without_lowest(const Setup& setup, std::int64_t depth) {
  Setup out = setup;
  if (setup.adapter) {
    auto adapter = std::make_shared<Adapter>(*setup.adapter);
    const auto layers = static_cast<std::int64_t>(adapter->modules.size());
    for (std::int64_t layer = 0; layer < std::min(depth, layers); ++layer) {
      adapter->modules[static_cast<std::size_t>(layer)] = {};
    }
    out.adapter = std::move(adapter);
  }
  for (Setup& child : out.children) child = without_lowest(child, depth);
  return out;
}

}  // namespace fathom::trainer
