#include "trainer/packed/packed_engine.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>

#include "trainer/packed/encoder.hpp"

namespace fathom::trainer::packed {
namespace {

// Prepared bases kept; each holds its model in memory.
constexpr std::size_t kBases = 2;

std::string base_obstacle(const BaseModel& base) {
  Curve curve;
  if (!base.word_embeddings.is_cpu()) return "a base on a GPU";
  if (base.word_embeddings.scalar_type() != at::kFloat) return "a base that is not float32";
  if (base.relative_bias.defined()) return "relative positions (MPNet)";
  if (!curve_of(base.config.activation, &curve)) return "the base's activation";
  return "";
}

at::Tensor tensor_of(const float* data, std::int64_t rows, std::int64_t width) {
  // [rows, 1, width]: the heads read token 0.
  return at::from_blob(const_cast<float*>(data), {rows, 1, width}, at::kFloat).clone();
}

}  // namespace

std::string PackedEngine::obstacle(const Network& network) const {
  if (network.whole) return "full fine-tuning";
  if (auto reason = base_obstacle(*network.base); !reason.empty()) return reason;
  if (products_of(network.precision).run == nullptr) return "bf16 on a CPU that has no products of it";
  if (network.setup.kind == SetupKind::none) return "";
  if (network.setup.kind == SetupKind::fuse) return fusion_obstacle(network.setup);
  if (network.setup.kind != SetupKind::single) return "a composition of adapters";
  return adapter_obstacle(network.setup.adapter->config);
}

std::vector<std::vector<std::uint32_t>> PackedEngine::cut(const Network& network, const TokenizedRows& rows,
                                                          std::span<const std::uint32_t> chosen,
                                                          std::uint32_t most) const {
  if (!obstacle(network).empty()) return reference_engine().cut(network, rows, chosen, most);
  // Nothing is padding, so there is nothing to gain from smaller passes.
  std::vector<std::uint32_t> sorted(chosen.begin(), chosen.end());
  std::stable_sort(sorted.begin(), sorted.end(), [&](auto a, auto b) { return rows.length(a) > rows.length(b); });
  std::vector<std::vector<std::uint32_t>> passes;
  for (std::size_t first = 0; first < sorted.size(); first += most) {
    const auto last = std::min<std::size_t>(sorted.size(), first + most);
    passes.emplace_back(sorted.begin() + static_cast<std::ptrdiff_t>(first),
                        sorted.begin() + static_cast<std::ptrdiff_t>(last));
  }
  return passes;
}

const FrozenBase& PackedEngine::frozen(const Network& network) {
  const auto found = std::find_if(bases_.begin(), bases_.end(), [&](const auto& held) {
    return &held->model() == network.base.get() && held->precision() == network.precision;
  });
  if (found == bases_.end()) {
    bases_.insert(bases_.begin(), std::make_unique<FrozenBase>(network.base, network.precision));
    if (bases_.size() > kBases) bases_.pop_back();
  } else {
    std::rotate(bases_.begin(), found, found + 1);
  }
  return *bases_.front();
}

std::shared_ptr<KeptRows> PackedEngine::expect(const Network& network, const TokenizedRows& rows,
                                               const std::vector<DepthPasses>& demands) {
  if (!obstacle(network).empty()) return nullptr;
  const auto layers = network.base->config.layers;
  std::vector<Demand> stages;
  for (const auto& [depth, passes] : demands) {
    ForwardOptions options;
    options.drop_depth = depth;
    const auto boundary = sites_of(network.setup, layers, options).boundary;
    if (boundary < 2 * layers) stages.push_back({boundary, passes});
  }
  return store_.expect(frozen(network), rows, stages);
}

std::shared_ptr<PrefixSplit> PackedEngine::kept(const FrozenBase& base, const Batch& batch) const {
  return batch.origin ? store_.find(base, *batch.origin->split) : nullptr;
}

double PackedEngine::learn(const Network& network, const LabelledBatch& rows, double share,
                           const ForwardOptions& options, const std::function<void()>& forwarded) {
  const auto layout =
      obstacle(network).empty() && options.skip_layers.empty()
          ? layout_of(rows.input, network.base->config, options.dropout ? options.dropout->first_row : 0)
          : std::nullopt;
  if (!layout) return reference_engine().learn(network, rows, share, options, forwarded);
  arena_.reset();
  const Run run{frozen(network), arena_, options.dropout};
  const auto sites = sites_of(network.setup, network.base->config.layers, options);
  const auto split = options.recipe == Recipe::fast ? kept(run.base, rows.input) : nullptr;
  Encoder encoder(run, *layout, options.recipe, /*keep=*/true);
  if (split) encoder.read_from(*split, rows.input.origin->rows);
  at::Tensor hidden = tensor_of(encoder.run_all(sites), layout->sequences, run.hidden());
  // The head is small and of many forms: it stays with autograd, which ends at its input.
  const at::AutoGradMode with_gradients(true);
  hidden.set_requires_grad(true);
  const auto loss =
      head_loss(*network.head, head_logits(*network.head, *network.base, hidden, options.dropout), rows.labels);
  if (forwarded) forwarded();
  if (share == 1.0)
    loss.backward();
  else
    loss.mul(share).backward();
  const at::Tensor gradient = hidden.grad().contiguous();
  encoder.backward(sites, gradient.mutable_data_ptr<float>());
  return loss.item<double>();
}

std::vector<at::Tensor> PackedEngine::logits(const std::vector<Branch>& branches, const Batch& batch) {
  const auto& base = branches.front().network->base;
  const bool covered = std::all_of(branches.begin(), branches.end(),
                                   [&](const Branch& branch) { return obstacle(*branch.network).empty(); });
  const auto layout = covered ? layout_of(batch, base->config, 0) : std::nullopt;
  if (!layout) return reference_engine().logits(branches, batch);
  const at::NoGradGuard no_grad;
  arena_.reset();
  const Run run{frozen(*branches.front().network), arena_, nullptr};
  const auto split = kept(run.base, batch);
  Encoder encoder(run, *layout, Recipe::fast, /*keep=*/false);
  if (split) encoder.read_from(*split, batch.origin->rows);
  const auto ends = encoder.run_branches(branches);
  std::vector<at::Tensor> logits;
  for (std::size_t i = 0; i < ends.size(); ++i)
    logits.push_back(
        head_logits(*branches[i].network->head, *base, tensor_of(ends[i], layout->sequences, run.hidden())));
  return logits;
}

}  // namespace fathom::trainer::packed
