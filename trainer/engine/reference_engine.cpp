#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "trainer/adapters/drop.hpp"
#include "trainer/engine/engine.hpp"
#include "trainer/engine/errors.hpp"
#include "trainer/engine/tensor_cores.hpp"
#include "trainer/packed/packed_engine.hpp"

namespace fathom::trainer {
namespace {

class ReferenceEngine final : public Engine {
 public:
  [[nodiscard]] std::string obstacle(const Network& /*network*/) const override { return ""; }

  // It computes everything anew: what others are compared with.
  std::shared_ptr<KeptRows> expect(const Network& /*network*/, const TokenizedRows& /*rows*/,
                                   const std::vector<DepthPasses>& /*demands*/) override {
    return nullptr;
  }

  [[nodiscard]] std::vector<std::vector<std::uint32_t>> cut(const Network& /*network*/, const TokenizedRows& rows,
                                                            std::span<const std::uint32_t> chosen,
                                                            std::uint32_t most) const override {
    return passes_by_length(rows, chosen, most);
  }

  double learn(const Network& network, const LabelledBatch& rows, double share, const ForwardOptions& options,
               const std::function<void()>& forwarded) override {
    const at::AutoGradMode with_gradients(true);
    const TensorCores products(network.precision);
    ForwardOptions own = options;
    own.precision = network.precision;
    const auto hidden = forward(*network.base, rows.input, network.setup, own).last_hidden_state;
    const auto logits = head_logits(*network.head, *network.base, hidden, options.dropout);
    const auto loss = head_loss(*network.head, logits, rows.labels);
    if (forwarded) forwarded();
    // Weighted by rows, so that a step made of several passes has the gradient of one pass over all of them.
    if (share == 1.0)
      loss.backward();
    else
      loss.mul(share).backward();
    return loss.item<double>();
  }

  std::vector<at::Tensor> logits(const std::vector<Branch>& branches, const Batch& batch) override {
    const auto& first = *branches.front().network;
    const TensorCores products(first.precision);
    const bool one =
        std::all_of(branches.begin(), branches.end(), [&](const Branch& branch) { return branch.network == &first; });
    return one ? of_depths(first, branches, batch) : of_networks(*first.base, branches, batch);
  }

 private:
  static std::vector<at::Tensor> of_depths(const Network& network, const std::vector<Branch>& branches,
                                           const Batch& batch) {
    ForwardOptions options;
    options.precision = network.precision;
    std::vector<std::int64_t> depths;
    for (const auto& branch : branches) depths.push_back(branch.depth);
    std::vector<at::Tensor> logits;
    for (const auto& result : forward_depths(*network.base, batch, network.setup, depths, options))
      logits.push_back(head_logits(*network.head, *network.base, result.last_hidden_state));
    return logits;
  }

  // The library's Parallel, each child at a depth of its own.
  static std::vector<at::Tensor> of_networks(const BaseModel& base, const std::vector<Branch>& branches,
                                             const Batch& batch) {
    Setup setup;
    setup.kind = SetupKind::parallel;
    for (const auto& branch : branches) setup.children.push_back(without_lowest(branch.network->setup, branch.depth));
    value_or_fail(check_setup(setup, base.config), ErrorClass::config);
    ForwardOptions options;
    options.precision = branches.front().network->precision;
    const auto hidden = forward(base, batch, setup, options).last_hidden_state;
    const auto count = batch.input_ids.size(0);
    std::vector<at::Tensor> logits;
    for (std::size_t i = 0; i < branches.size(); ++i) {
      // Where no branch has an adapter left, the rows were never copied.
      const auto from = hidden.size(0) == count ? 0 : static_cast<std::int64_t>(i) * count;
      logits.push_back(head_logits(*branches[i].network->head, base, hidden.narrow(0, from, count)));
    }
    return logits;
  }
};

}  // namespace

Engine& reference_engine() {
  static ReferenceEngine engine;
  return engine;
}

std::unique_ptr<Engine> make_engine(EngineKind kind, PrefixOptions prefix) {
  if (kind == EngineKind::packed) return std::make_unique<packed::PackedEngine>(std::move(prefix));
  return std::make_unique<ReferenceEngine>();
}

Result<EngineKind> parse_engine(const std::string& name) {
  if (name == "packed") return EngineKind::packed;
  if (name == "reference") return EngineKind::reference;
  return Error{Errc::invalid_argument, "engine is '" + name + "'; it can be packed or reference"};
}

}  // namespace fathom::trainer
