// Which adapters run, as a tree: an argument of forward(). Names as in `adapters`' composition blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "trainer/adapters/adapter.hpp"
#include "trainer/adapters/fusion.hpp"

namespace fathom::trainer {

// none: the bare model. single: one adapter. stack: children one after the other. fuse: AdapterFusion over the
// children. average: weighted mean of the children (times 1/N once more, as the library). parallel: every child on a
// copy of the batch (rows child by child). batch_split: child i takes the next batch_sizes[i] rows.
enum class SetupKind { none, single, stack, fuse, average, parallel, batch_split };

// A value; adapters and fusions are shared and not changed through it. A `none` child of parallel and batch_split means
// rows without adapter.
struct Setup {
  SetupKind kind = SetupKind::none;
  std::shared_ptr<const Adapter> adapter;  // single
  std::shared_ptr<const Fusion> fusion;    // fuse
  std::vector<Setup> children;
  std::vector<double> weights;            // average: one per child, summing to 1
  std::vector<std::int64_t> batch_sizes;  // batch_split

  static Setup none() { return {}; }
  static Setup single(std::shared_ptr<const Adapter> adapter);
  static Setup fuse(std::shared_ptr<const Fusion> fusion, const std::vector<std::shared_ptr<const Adapter>>& members);
  static Setup stack(std::vector<Setup> children);

  // Whether an adapter of the tree has a module there.
  [[nodiscard]] bool active(std::int64_t layer, Site site) const;
  // Every adapter of the tree once, in order.
  [[nodiscard]] std::vector<std::shared_ptr<const Adapter>> adapters() const;
};

// Everything forward() relies on: allowed nestings (as the library, plus `none` children), tensors that fit the model,
// members of a fuse that agree on their sites and configs, a fusion layer wherever members are, batch_sizes given.
// Errors are invalid_argument and say which part is wrong.
Status check_setup(const Setup& setup, const ModelConfig& model);

}  // namespace fathom::trainer
