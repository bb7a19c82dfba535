// One pass over rows of several jobs on one frozen base: its products run once over the rows of all, and each job's
// adapters, masks and depth act on its own. Jobs stand in the order of their lowest active adapters, so that backward
// at a stage has the first rows of the pass, those of the jobs that have an adapter below it, and no others.
// Thread: compute thread.
#pragma once

#include <span>
#include <vector>

#include "trainer/packed/blocks.hpp"
#include "trainer/packed/encoder.hpp"

namespace fathom::trainer::packed {

struct MixedJob {
  const Setup* setup = nullptr;
  const Layout* layout = nullptr;
  ForwardOptions options;  // drop_depth, recipe and dropout
};

class MixedPass {
 public:
  // `base` and `arena` and what the jobs point to outlive it. All it takes of the arena is for the caller to give back.
  MixedPass(const FrozenBase& base, Arena& arena, std::span<const MixedJob> jobs);

  // Of each job, in the order given, the encoder's output for the first token of each sequence, [sequences, hidden].
  std::vector<const float*> forward();
  // Adds the gradients of all jobs' trained tensors to their .grad, from those of forward()'s results in that order.
  void backward(const std::vector<const float*>& d_outs);

  // The jobs in the order of the pass.
  [[nodiscard]] Parts parts() const { return plan_.parts; }
  // The first parts: those with a site that learns at `stage` or below it, or, without `own`, below it.
  [[nodiscard]] Parts learning(std::int64_t stage, bool own) const;

 private:
  struct Plan {
    Layout layout;
    std::vector<Part> parts;
    std::vector<Sites> sites;         // by part
    std::vector<std::size_t> places;  // by job: its part
  };
  static Plan plan(const Run& run, std::span<const MixedJob> jobs);
  [[nodiscard]] std::int64_t stages() const { return 2 * run_.base.config().layers; }
  // The sites of all parts at one stage, from the sub-block's product to y.
  void run_sites(std::int64_t stage, float* product, const Flow& flow, float* y);
  // The same back: `gradient` of y becomes that of what goes around the sub-block, beside that of its product.
  void sites_back(std::int64_t stage, float* gradient, float* d_product);

  const Run run_;
  Plan plan_;
  Blocks blocks_;
};

}  // namespace fathom::trainer::packed
