// The arithmetic of passes, behind one interface. Two engines give one result: `reference` is plain autograd over
// padded rows, the Hugging Face arithmetic to the letter; `packed` has rows without padding and a hand-written
// backward, and is held to the reference by tests within rounding. Which one computes is an execution setting and no
// part of a result. Thread: compute thread.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "trainer/batches/tokenized.hpp"
#include "trainer/engine/engine_kind.hpp"
#include "trainer/engine/network.hpp"

namespace fathom::trainer {

// A network at a drop depth: the adapters of layers 0 … depth-1 are skipped.
struct Branch {
  const Network* network = nullptr;
  std::int64_t depth = 0;
};

// Rows whose way through the frozen base is kept.
class KeptRows {
 public:
  virtual ~KeptRows() = default;
  // Rows asked for so far, by all jobs of this trainer, that were there and that were not. For logs.
  struct Counts {
    std::uint64_t read = 0, missed = 0;
  };
  [[nodiscard]] virtual Counts counts() const = 0;
};

// How often a job will ask for rows at a drop depth.
struct DepthPasses {
  std::int64_t depth = 0;
  double passes = 0;
};

class Engine {
 public:
  virtual ~Engine() = default;

  // Why the reference computes this network; empty where the engine itself does.
  [[nodiscard]] virtual std::string obstacle(const Network& network) const = 0;

  // A job of recipe fast is going to ask for these rows so often. An engine that keeps what the frozen base makes of
  // them uses it for batches with an origin, as long as what is returned lives; null where nothing is kept.
  virtual std::shared_ptr<KeptRows> expect(const Network& network, const TokenizedRows& rows,
                                           const std::vector<DepthPasses>& demands) = 0;

  // The rows of one optimizer step in passes of at most `most`, as the engine computes them best. The same order of
  // rows whatever the engine: longest first, ties in the given order.
  [[nodiscard]] virtual std::vector<std::vector<std::uint32_t>> cut(const Network& network, const TokenizedRows& rows,
                                                                    std::span<const std::uint32_t> chosen,
                                                                    std::uint32_t most) const = 0;

  // The mean loss over the rows of a pass. Adds `share` times its gradient to the .grad of the network's trained
  // tensors; tensors that the pass does not reach are left alone. `forwarded`, if given, is called between forward and
  // backward: for those who measure time.
  virtual double learn(const Network& network, const LabelledBatch& rows, double share, const ForwardOptions& options,
                       const std::function<void()>& forwarded = {}) = 0;

  // Logits [rows, outputs] of every branch on the same rows, in eval mode, in the order of the branches. All of them
  // are on one base; what they have in common below their lowest adapters is computed once.
  virtual std::vector<at::Tensor> logits(const std::vector<Branch>& branches, const Batch& batch) = 0;
};

// Without state: one object serves everybody.
Engine& reference_engine();

// An engine for one compute thread; the packed one keeps its memory and the bases it has prepared.
std::unique_ptr<Engine> make_engine(EngineKind kind, PrefixOptions prefix = {});

}  // namespace fathom::trainer
