// The engine `packed`. Networks that it does not cover it hands to the reference, pass by pass, so that every job runs.
// Thread: compute thread; jobs take turns, so one arena serves all of them.
#pragma once

#include <memory>

#include "trainer/engine/engine.hpp"
#include "trainer/packed/arena.hpp"
#include "trainer/packed/frozen.hpp"
#include "trainer/packed/prefix_store.hpp"

namespace fathom::trainer::packed {

// A pass of one job, as learn() takes it.
struct JobPass {
  const Network* network = nullptr;
  const LabelledBatch* rows = nullptr;
  double share = 1;
  ForwardOptions options;
};

class PackedEngine final : public Engine {
 public:
  explicit PackedEngine(PrefixOptions prefix = {}) : store_(std::move(prefix)) {}
  [[nodiscard]] std::string obstacle(const Network& network) const override;
  std::shared_ptr<KeptRows> expect(const Network& network, const TokenizedRows& rows,
                                   const std::vector<DepthPasses>& demands) override;
  [[nodiscard]] std::vector<std::vector<std::uint32_t>> cut(const Network& network, const TokenizedRows& rows,
                                                            std::span<const std::uint32_t> chosen,
                                                            std::uint32_t most) const override;
  double learn(const Network& network, const LabelledBatch& rows, double share, const ForwardOptions& options,
               const std::function<void()>& forwarded) override;
  std::vector<at::Tensor> logits(const std::vector<Branch>& branches, const Batch& batch) override;

  // learn() of several jobs in one pass over the rows of all (see mixed.hpp); their losses. Each job's loss and
  // gradients are those of learn() on it alone, bit for bit where the BLAS gives the same product of the same numbers
  // twice. Jobs that the engine does not cover, or of several bases or precisions, take turns. A pass for devices that
  // one job does not fill: on a CPU, where nothing is won by it, jobs take turns (decision 35).
  std::vector<double> learn_together(std::span<const JobPass> jobs);

 private:
  // Whether a packed pass is made for the network under these options.
  [[nodiscard]] bool covers(const Network& network, const ForwardOptions& options) const;
  const FrozenBase& frozen(const Network& network);

  // What is kept of a batch's rows; null when nothing is.
  [[nodiscard]] std::shared_ptr<PrefixSplit> kept(const FrozenBase& base, const Batch& batch) const;

  Arena arena_;
  PrefixStore store_;
  // By address and precision; an entry keeps its base alive, so that the address stays its own. The base used last goes
  // first.
  std::vector<std::unique_ptr<FrozenBase>> bases_;
};

}  // namespace fathom::trainer::packed
