#include "trainer/packed/packed_engine.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>

#include "trainer/packed/encoder.hpp"
#include "trainer/packed/mixed.hpp"

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

std::int64_t first_row(const ForwardOptions& options) { return options.dropout ? options.dropout->first_row : 0; }

// The head is small and of many forms: it stays with autograd, which ends at its input.
class HeadPass {
 public:
  // From the encoder's output for the first tokens, [sequences, hidden].
  HeadPass(const Network& network, const at::Tensor& labels, const DropoutSource* dropout, const float* output,
           std::int64_t sequences)
      : hidden_(tensor_of(output, sequences, network.base->config.hidden)) {
    const at::AutoGradMode with_gradients(true);
    hidden_.set_requires_grad(true);
    loss_ = head_loss(*network.head, head_logits(*network.head, *network.base, hidden_, dropout), labels);
  }
  // Adds `share` times the gradient to the head's tensors; that of the output.
  at::Tensor backward(double share) {
    const at::AutoGradMode with_gradients(true);
    (share == 1.0 ? loss_ : loss_.mul(share)).backward();
    return hidden_.grad().contiguous();
  }
  [[nodiscard]] double loss() const { return loss_.item<double>(); }

 private:
  at::Tensor hidden_, loss_;
};

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

bool PackedEngine::covers(const Network& network, const ForwardOptions& options) const {
  return obstacle(network).empty() && options.skip_layers.empty();
}

double PackedEngine::learn(const Network& network, const LabelledBatch& rows, double share,
                           const ForwardOptions& options, const std::function<void()>& forwarded) {
  const auto layout =
      covers(network, options) ? layout_of(rows.input, network.base->config, first_row(options)) : std::nullopt;
  if (!layout) return reference_engine().learn(network, rows, share, options, forwarded);
  arena_.reset();
  const Run run{frozen(network), arena_, options.dropout};
  const auto sites = sites_of(network.setup, network.base->config.layers, options);
  const auto split = options.recipe == Recipe::fast ? kept(run.base, rows.input) : nullptr;
  Encoder encoder(run, *layout, options.recipe, /*keep=*/true);
  if (split) encoder.read_from(*split, rows.input.origin->rows);
  HeadPass head(network, rows.labels, options.dropout, encoder.run_all(sites), layout->sequences);
  if (forwarded) forwarded();
  const at::Tensor gradient = head.backward(share);
  encoder.backward(sites, gradient.mutable_data_ptr<float>());
  return head.loss();
}

std::vector<double> PackedEngine::learn_together(std::span<const JobPass> jobs) {
  std::vector<double> losses;
  if (jobs.empty()) return losses;
  const auto& first = *jobs.front().network;
  std::vector<Layout> layouts;
  for (const auto& job : jobs) {
    if (!covers(*job.network, job.options) || job.network->base != first.base ||
        job.network->precision != first.precision)
      break;
    auto layout = layout_of(job.rows->input, first.base->config, first_row(job.options));
    if (!layout) break;
    layouts.push_back(std::move(*layout));
  }
  if (layouts.size() < jobs.size()) {
    for (const auto& job : jobs) losses.push_back(learn(*job.network, *job.rows, job.share, job.options, {}));
    return losses;
  }
  std::vector<MixedJob> mixed;
  for (std::size_t i = 0; i < jobs.size(); ++i)
    mixed.push_back({&jobs[i].network->setup, &layouts[i], jobs[i].options});
  arena_.reset();
  MixedPass pass(frozen(first), arena_, mixed);
  const auto outputs = pass.forward();
  std::vector<at::Tensor> gradients;
  std::vector<const float*> d_outputs;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    HeadPass head(*jobs[i].network, jobs[i].rows->labels, jobs[i].options.dropout, outputs[i], layouts[i].sequences);
    gradients.push_back(head.backward(jobs[i].share));
    d_outputs.push_back(gradients.back().const_data_ptr<float>());
    losses.push_back(head.loss());
  }
  pass.backward(d_outputs);
  return losses;
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
