// Forward and hand-written backward of the frozen encoder over the rows of one job, without padding. The encoder is a
// line of stages, as in the reference: attention with its site, feed-forward with its site, layer by layer. Nothing of
// the base is learnt, so backward only carries the gradient down to the lowest site that learns and stops there. Only
// the first token of a sequence reaches the heads: the last layer asks queries for these alone, and everything behind
// its attention has one row per sequence. Thread: compute thread.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "trainer/engine/engine.hpp"
#include "trainer/packed/blocks.hpp"
#include "trainer/packed/prefix_store.hpp"
#include "trainer/packed/site.hpp"

namespace fathom::trainer::packed {

// The sites of one network at one drop depth, by stage (2 * layer + site).
struct Sites {
  std::vector<std::unique_ptr<SitePass>> passes;
  std::int64_t boundary = 0;  // first stage with an adapter; passes.size() if none
};
Sites sites_of(const Setup& setup, std::int64_t layers, const ForwardOptions& options);

class Encoder {
 public:
  // All must outlive it. keep: a backward() will follow.
  Encoder(const Run& run, const Layout& layout, Recipe recipe, bool keep);

  // From now on the sequences are these rows of `split`, which outlives the encoder: what is kept of them is read, and
  // what is not there yet is computed and put there. Only where the part below the boundary has no dropout.
  void read_from(PrefixSplit& split, std::span<const std::uint32_t> rows);

  // The encoder's output for the first token of each sequence, [sequences, hidden], in the pass's arena.
  const float* run_all(const Sites& sites);
  // The same of every branch, without keeping anything: the stages that no adapter has touched are computed once for
  // all of them, and depths of a network that activate the same adapters once.
  std::vector<const float*> run_branches(const std::vector<Branch>& branches);

  // From the gradient of run_all()'s result [sequences, hidden], which is overwritten.
  void backward(const Sites& sites, float* d_out);

  [[nodiscard]] std::int64_t stages() const { return 2 * run_.base.config().layers; }

 private:
  // All rows, for a pass with its lowest adapter at `boundary`.
  [[nodiscard]] Part whole(std::int64_t boundary) const;
  // The sub-block of a stage; `flow` is what the site adds around it. Above `boundary` dropout acts and, if kept,
  // gradients will pass.
  Arrival sub_block(std::int64_t stage, Flow& flow, std::int64_t boundary);
  // Calls `leave` where a branch leaves the frozen trunk, with what the sub-block there hands over; returns the trunk's
  // end, null when nobody needs it.
  using Leave = std::function<void(std::int64_t stage, const Arrival& arrival, const Flow& flow)>;
  const float* run_trunk(const std::vector<Sites>& branches, std::int64_t last, const Leave& leave);
  // The frozen part up to the sub-block of `stage`, from what is kept or from the embeddings on; `flow` is what the
  // site adds around it. Precondition: no stage up to it has an active site.
  Arrival trunk(std::int64_t stage, Flow& flow);
  // The same at a boundary that the split keeps.
  Arrival kept_arrival(std::int64_t stage, Flow& flow);
  // Computes the sequences `missing` for kept_arrival() and keeps them.
  void fill(std::int64_t stage, const std::vector<std::int64_t>& missing, float* x, float* product);
  // From the middle of a stage to the end.
  const float* run_from(std::int64_t stage, Arrival arrival, Flow flow, const Sites& sites);
  [[nodiscard]] Rows all() const { return {layout_.tokens, layout_.places.data()}; }
  [[nodiscard]] Rows firsts() const { return {layout_.sequences, layout_.first_places.data()}; }

  const Run& run_;
  const Layout& layout_;
  const Recipe recipe_;
  const bool keep_;
  Blocks blocks_;
  PrefixSplit* split_ = nullptr;
  std::vector<std::uint32_t> rows_;  // of the split, by sequence
};

}  // namespace fathom::trainer::packed
