// One optimizer step of a network, in the reference order: forward, backward, fusion regulariser, clip, AdamW. Two
// conventions of the library's history are options, because they end at visibly different weights (docs/numerics.md).
// Thread: compute thread. Nothing but the network's trained tensors and the optimizer's state changes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "trainer/batches/tokenized.hpp"
#include "trainer/engine/engine.hpp"
#include "trainer/engine/network.hpp"
#include "trainer/model/encoder.hpp"
#include "trainer/optim/adamw.hpp"
#include "trainer/optim/schedule.hpp"
#include "trainer/parallel/gradient_sum.hpp"

namespace fathom::trainer {

struct TrainingOptions {
  Schedule schedule;
  AdamWOptions adamw;
  double clip = 1.0;
  Recipe recipe = Recipe::fast;
  std::uint64_t seed = 0;  // of the dropout masks
  bool dropout = true;     // false: every dropout is off, for comparison with reference runs
  // Called in every step when all gradients are there and none is clipped: for checks that look at them.
  std::function<void()> on_gradients;
  // Called in every pass between forward and backward: for those who measure time.
  std::function<void()> on_forward;
  // Tensors that a step does not reach. false: they have no gradient and AdamW leaves them alone (torch since 2.0).
  // true: their gradient is zero once they have had one, so their moments decay and weight decay acts.
  bool zero_gradients = false;
  // The gradient of the fusion's value regulariser. false: it joins its own step, before clipping (the paper). true: it
  // joins the next step, so that the first has none and the last is never used (AdapterTrainer since fork 2.2).
  bool lagged_regularizer = false;
};

struct StepReport {
  double loss = 0;       // task loss before the step, mean over the rows
  double grad_norm = 0;  // before clipping
  double lr = 0;
  std::optional<double> reg_loss;  // the fusion regulariser's value when its gradient is taken: lagged, after the step
};

class Training {
 public:
  // `network`, `gang` and `engine`, which computes the passes, must outlive it.
  Training(const Network& network, const TrainingOptions& options, Gang& gang = alone(),
           Engine& engine = reference_engine());

  // Optimizer step number `step` (0-based) over the rows of all `passes` (micro-batches of one step), with the adapters
  // of layers 0..depth-1 skipped. A NaN or Inf loss or norm is returned and the tensors are not updated. What a step
  // needs of the earlier ones follows from the tensors and the optimizer's state, which a resume brings back. In a gang
  // every rank passes the whole step; it computes its share of the rows of each pass, and all ranks end with the
  // tensors and the report that one rank would have.
  StepReport step(std::uint64_t step, const std::vector<LabelledBatch>& passes, std::uint32_t depth);

  [[nodiscard]] AdamW& optimizer() { return optimizer_; }
  [[nodiscard]] const AdamW& optimizer() const { return optimizer_; }

 private:
  double accumulate(const std::vector<LabelledBatch>& passes, ForwardOptions& options, DropoutSource& source);
  std::optional<double> regularise(std::uint32_t depth);
  void zero_missing_gradients();

  const Network& network_;
  TrainingOptions options_;
  AdamW optimizer_;
  Gang& gang_;
  Engine& engine_;
  GradientSum sum_gradients_;
};

}  // namespace fathom::trainer
