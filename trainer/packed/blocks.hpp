// The frozen half of every stage, attention or feed-forward, forward and backward, over the rows of one job or of
// several that stand one behind the other: a product with a frozen matrix meets the rows of all of them at once; what
// draws masks, and attention, runs job by job. Nothing of the base is learnt, so backward is of the input only.
// Thread: compute thread.
#pragma once

#include <span>
#include <vector>

#include "trainer/packed/layout.hpp"
#include "trainer/packed/run.hpp"
#include "trainer/packed/site.hpp"

namespace fathom::trainer::packed {

// Between two stages: their rows, all tokens or the first of each sequence.
struct Flow {
  const float* x = nullptr;
  Rows rows;
  bool first_only = false;
};

// One job's rows in a pass.
struct Part {
  Run run;  // of the pass, with the job's own dropout
  Recipe recipe = Recipe::fast;
  std::int64_t boundary = 0;  // its first stage with an adapter
  Stretch rows;

  // Whether gradients pass through the sub-block of `stage`.
  [[nodiscard]] bool above(std::int64_t stage) const { return stage > boundary; }
  // In the fast recipe the frozen part below the lowest adapter has no dropout.
  [[nodiscard]] bool masked(std::int64_t stage) const { return above(stage) || recipe == Recipe::hf; }
};

// The parts of a pass are all its rows in their order, lowest boundary first: those that backward asks for at a stage
// are then the first of them, and their rows the first rows.
using Parts = std::span<const Part>;

class Blocks {
 public:
  // All must outlive it. keep: backward() will follow.
  Blocks(const Run& run, const Layout& layout, bool keep);

  [[nodiscard]] Flow embed(Parts parts) const;
  // The product of a stage's sub-block over all rows; `flow` becomes what the site adds around it.
  float* forward(std::int64_t stage, Flow& flow, Parts parts);
  // What a part's site gets of it.
  [[nodiscard]] Arrival arrival(std::int64_t stage, float* product, const Flow& flow, const Part& part) const;
  // The gradient of the sub-block's input for the rows of `parts`, the first ones of the pass: all above `stage`.
  float* backward(std::int64_t stage, const Departure& departure, Parts parts);

  [[nodiscard]] bool last_layer(std::int64_t stage) const { return stage / 2 + 1 == run_.base.config().layers; }
  // The first rows of a pass, up to the end of these parts.
  [[nodiscard]] Rows tokens(Parts parts) const { return {parts.back().rows.last_token, layout_.places.data()}; }
  [[nodiscard]] Rows firsts(Parts parts) const {
    return {parts.back().rows.last_sequence, layout_.first_places.data()};
  }
  // Where a part's rows begin.
  [[nodiscard]] static std::int64_t start(const Part& part, bool first_only) {
    return first_only ? part.rows.first_sequence : part.rows.first_token;
  }

 private:
  // What a stage leaves for its backward.
  struct Kept {
    AttentionArgs attention;
    float* slope = nullptr;  // of the activation [rows, intermediate]
    bool first_only = false;
  };
  float* attention(std::int64_t stage, Flow& flow, Parts parts);
  float* feed_forward(std::int64_t stage, const Flow& flow, Parts parts);
  [[nodiscard]] AttentionArgs heads(const Flow& in, std::int64_t stage, Parts parts) const;
  void attend(AttentionArgs args, std::int64_t stage, Parts parts, bool backward) const;
  float* attention_back(std::int64_t stage, const Departure& departure, Parts parts);
  // The rows of the first tokens, as rows of their own; and adding such rows back.
  float* gather(const float* x, std::int64_t sequences) const;
  void scatter_add(float* x, const float* rows, std::int64_t sequences) const;

  const Run& run_;
  const Layout& layout_;
  const bool keep_;
  std::vector<Kept> kept_;
  // Of a pass that keeps: what is dead after one product, and so one piece of memory for all stages.
  float *inner_ = nullptr, *context_ = nullptr;
};

}  // namespace fathom::trainer::packed
