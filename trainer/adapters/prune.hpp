// Pruning of fusions: which members each layer needs, and a form of the result that `adapters` can load.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.hpp"
#include "trainer/adapters/setup.hpp"
#include "trainer/model/encoder.hpp"
#include "trainer/parallel/gang.hpp"

namespace fathom::trainer {

// Mean fusion weights over tokens, kept as double sums so that the order of batches hardly matters.
class AttentionMeans {
 public:
  struct Row {
    std::int64_t layer = 0;
    Site site = Site::output;
    std::string adapter;
    double mean_weight = 0;  // over the counted tokens; rows of one (layer, site) sum to 1
    std::int64_t rank = 0;   // 1 = highest mean weight in its layer and site; ties by order in the fusion
  };
  // Adds one forward result. attention_mask [B, T]: pads are not counted; undefined: every position counts.
  void add(const std::vector<FusionAttention>& attention, const at::Tensor& attention_mask);
  // Adds what the other ranks have seen; each has seen something.
  void sum_over(Gang& gang);
  // By layer, site, then order of the adapters in the fusion.
  [[nodiscard]] std::vector<Row> rows() const;

 private:
  struct Cell {
    std::int64_t layer;
    Site site;
    std::vector<std::string> adapters;
    std::vector<double> sums;
    double tokens = 0;
  };
  std::vector<Cell> cells_;
};

// Which adapters of a layer stay: the `count` with the highest mean weight, or, where `threshold` > 0, those whose mean
// weight reaches it and at least the best one. The mean is over the layer's sites; `global`: over all layers, and the
// same adapters stay everywhere. Of equal means the earlier in the fusion stays.
struct Keep {
  std::int64_t count = 1;
  double threshold = 0;
  bool global = false;
};

// Entry l = the adapters that stay in layer l, in the order of the fusion; empty for layers without a fusion.
std::vector<std::vector<std::string>> kept_members(const std::vector<AttentionMeans::Row>& rows, std::int64_t layers,
                                                   const Keep& keep);

// The fuse `setup` with every (adapter, layer) pair removed that `kept` does not name: softmax over the rest, W_v still
// applies when one is left. Weights are shared with `setup`. invalid_argument: not a fuse of single adapters, an
// unknown name, a layer left with no member although it had some.
Result<Setup> prune_fusion(const Setup& setup, const std::vector<std::vector<std::string>>& kept);

// `adapters` needs the last child of a Fuse in every layer where any child is. This returns an equal setup for saving:
// a member that is everywhere moves to the end; if there is none, the member kept most often does, and in layers where
// it was pruned its module holds a kept neighbour's weights, which that neighbour then leaves out (`moved`).
struct ExportedFusion {
  Setup setup;
  struct Move {
    std::int64_t layer;
    std::string from;  // whose weights they are
    std::string into;  // in whose folder they stand
  };
  std::vector<Move> moved;
};
Result<ExportedFusion> exportable_fusion(const Setup& pruned);

}  // namespace fathom::trainer
