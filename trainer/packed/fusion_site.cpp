#include <algorithm>

#include "trainer/packed/gemm.hpp"
#include "trainer/packed/inlet.hpp"

namespace fathom::trainer::packed {
namespace {

const float* data(const at::Tensor& tensor) { return tensor.const_data_ptr<float>(); }

// The members of one fusion that are present at one site, their bottlenecks side by side.
struct Members {
  std::vector<const Adapter*> adapters;
  std::vector<const Bottleneck*> modules;
  std::vector<std::int64_t> offsets = {0};  // columns of each member; the last is the width of all
  // Stacked weights of a pass. up carries each member's scaling; so does up_bias.
  float *down = nullptr, *down_bias = nullptr;  // [width, hidden], [width]
  float *up = nullptr, *up_bias = nullptr;      // [hidden, width], [members, hidden]

  [[nodiscard]] std::int64_t count() const { return static_cast<std::int64_t>(modules.size()); }
  [[nodiscard]] std::int64_t width() const { return offsets.back(); }
  void stack(const Run& run);
};

void Members::stack(const Run& run) {
  const std::int64_t hidden = run.hidden();
  down = run.arena.take(width() * hidden);
  down_bias = run.arena.take(width());
  up = run.arena.take(width() * hidden);
  up_bias = run.arena.take(count() * hidden);
  for (std::int64_t i = 0; i < count(); ++i) {
    const auto& module = *modules[static_cast<std::size_t>(i)];
    const auto scale = static_cast<float>(adapters[static_cast<std::size_t>(i)]->config.scaling);
    const std::int64_t at = offsets[static_cast<std::size_t>(i)], own = module.down.weight.size(0);
    std::copy_n(data(module.down.weight), own * hidden, down + at * hidden);
    std::copy_n(data(module.down.bias), own, down_bias + at);
    for (std::int64_t row = 0; row < hidden; ++row) {
      for (std::int64_t j = 0; j < own; ++j) up[row * width() + at + j] = scale * data(module.up.weight)[row * own + j];
      up_bias[i * hidden + row] = scale * data(module.up.bias)[row];
    }
  }
}

class FusionSite final : public SitePass {
 public:
  FusionSite(const Setup& setup, std::int64_t layer, Site site);

  void forward(const Run& run, const Arrival& arrival, float* y, bool keep, bool below) override;
  Departure backward(const Run& run, float* d_y) override;

 private:
  void score(const Run& run, bool keep);
  void ask(const Run& run, bool keep);
  void mix(const Run& run);
  void learn(const Run& run, const float* d_out, const float* d_mix);
  Departure leave(const Run& run, float* d_sum);

  Members members_;
  const FusionLayer& layer_;
  const FusionConfig& config_;
  Inlet inlet_;
  const std::uint32_t mask_site_;
  Curve curve_ = Curve::identity;
  bool below_ = false;
  Arrival arrival_;
  FusionArgs fuse_;
  const float* z_ = nullptr;                   // what members and query read
  float *inner_ = nullptr, *slope_ = nullptr;  // of all members [rows, width]
  float* query_ = nullptr;                     // q; null in evaluation, where only g is made
  float* asked_ = nullptr;                     // g = W_kᵀ q
  float* mix_ = nullptr;                       // m = Σ weights_i u_i
  float *sum_ = nullptr, *stats_ = nullptr;
  float* d_asked_ = nullptr;  // gradient of g
  float* d_query_ = nullptr;
};

FusionSite::FusionSite(const Setup& setup, std::int64_t layer, Site site)
    : layer_(*setup.fusion->at(layer, site)),
      config_(setup.fusion->config),
      // The last member's config decides, present in this layer or not.
      inlet_(setup.children.back().adapter->config.original_ln_before ? Feed::normed : Feed::product),
      mask_site_(dropout_site::in_layer(layer, dropout_site::fusion_scores + static_cast<std::uint32_t>(site))) {
  curve_of(setup.children.back().adapter->config.activation, &curve_);
  for (const auto& child : setup.children) {
    const auto* module = child.adapter->at(layer, site);
    if (!module) continue;
    members_.adapters.push_back(child.adapter.get());
    members_.modules.push_back(module);
    members_.offsets.push_back(members_.offsets.back() + module->down.weight.size(0));
  }
}

// g = W_kᵀ (W_q z + b_q).
void FusionSite::ask(const Run& run, bool keep) {
  const std::int64_t rows = arrival_.rows.count, hidden = run.hidden();
  asked_ = run.take(arrival_.rows, hidden);
  if (!keep && rows > hidden) {
    // Nobody asks for q itself: W_kᵀ W_q and W_kᵀ b_q once are less than a product for each of these rows.
    float* both = run.arena.take(hidden * hidden);
    float* bias = run.arena.take(hidden);
    product_tn(both, data(layer_.key->weight), data(layer_.query->weight), hidden, hidden, hidden);
    product_nn(bias, data(layer_.query->bias), data(layer_.key->weight), 1, hidden, hidden);
    product_nt(asked_, z_, both, rows, hidden, hidden);
    run.activate({hidden, Curve::identity, asked_, bias, asked_, false}, arrival_.rows);
    return;
  }
  query_ = run.take(arrival_.rows, hidden);
  product_nt(query_, z_, data(layer_.query->weight), rows, hidden, hidden);
  run.activate({hidden, Curve::identity, query_, data(layer_.query->bias), query_, false}, arrival_.rows);
  product_nn(asked_, query_, data(layer_.key->weight), rows, hidden, hidden);
}

void FusionSite::score(const Run& run, bool keep) {
  const auto& rows = arrival_.rows;
  const std::int64_t hidden = run.hidden(), width = members_.width(), count = members_.count();
  slope_ = run.take(rows, width);
  inner_ = keep ? run.take(rows, width) : slope_;
  product_nt(slope_, z_, members_.down, rows.count, width, hidden);
  run.activate({width, curve_, slope_, members_.down_bias, inner_, keep}, rows);
  ask(run, keep);
  float* query_up = run.take(rows, width);
  float* query_bias = run.take(rows, count);
  product_nn(query_up, asked_, members_.up, rows.count, width, hidden);
  product_nt(query_bias, asked_, members_.up_bias, rows.count, count, hidden);
  const double p = config_.dropout_prob.value_or(0.0) > 0 ? *config_.dropout_prob : run.base.config().attention_dropout;
  fuse_ = {};
  fuse_.members = count;
  fuse_.offsets = members_.offsets.data();
  fuse_.inner = inner_;
  fuse_.query_up = query_up;
  fuse_.query_bias = query_bias;
  fuse_.mask = run.mask(p, mask_site_);
  fuse_.places = rows.places;
  if (fuse_.mask.on && query_) {
    float* shift = run.take(rows, 1);
    product_nt(shift, query_, data(layer_.key->bias), rows.count, 1, hidden);
    fuse_.shift = shift;
  }
  fuse_.weights = run.take(rows, count);
  fuse_.weighted = run.take(rows, width);
  run.fuse(fuse_, rows, /*backward=*/false);
}

void FusionSite::mix(const Run& run) {
  const auto& rows = arrival_.rows;
  mix_ = run.take(rows, run.hidden());
  product_nt(mix_, fuse_.weighted, members_.up, rows.count, run.hidden(), members_.width());
  product_nn(mix_, fuse_.weights, members_.up_bias, rows.count, run.hidden(), members_.count(), /*add=*/true);
}

void FusionSite::forward(const Run& run, const Arrival& arrival, float* y, bool keep, bool below) {
  arrival_ = arrival;
  below_ = keep && below;
  members_.stack(run);
  z_ = inlet_.arrive(run, arrival, below_);
  score(run, keep);
  mix(run);
  const auto& rows = arrival.rows;
  sum_ = run.take(rows, run.hidden());
  product_nt(sum_, mix_, data(layer_.value->weight), rows.count, run.hidden(), run.hidden());
  NormArgs args;
  args.width = run.hidden();
  args.product = args.sum = sum_;
  args.residual = arrival.product;
  args.more = arrival.x;
  add_norm(args, arrival.norm, y);
  if (keep) args.stats = stats_ = run.take(rows, 2);
  run.norm(args, rows);
}

Departure FusionSite::backward(const Run& run, float* d_y) {
  const auto& rows = arrival_.rows;
  NormBackArgs args;
  args.width = run.hidden();
  args.d_y = d_y;
  args.sum = sum_;
  args.stats = stats_;
  args.gamma = arrival_.norm.gamma;
  args.d_sum = d_y;
  run.norm_back(args, rows);
  float* d_mix = run.take(rows, run.hidden());
  product_nn(d_mix, d_y, data(layer_.value->weight), rows.count, run.hidden(), run.hidden());
  learn(run, d_y, d_mix);
  return below_ ? leave(run, d_y) : Departure{};
}

// The gradients of value, key and query from that of the fusion's output.
void FusionSite::learn(const Run& run, const float* d_out, const float* d_mix) {
  const auto& rows = arrival_.rows;
  const std::int64_t hidden = run.hidden(), width = members_.width(), count = members_.count();
  float* d_up = run.take(rows, width);
  float* d_bias = run.take(rows, count);
  product_nn(d_up, d_mix, members_.up, rows.count, width, hidden);
  product_nt(d_bias, d_mix, members_.up_bias, rows.count, count, hidden);
  fuse_.d_up = d_up;
  fuse_.d_bias = d_bias;
  fuse_.d_scores = run.take(rows, count);
  fuse_.d_scored = run.take(rows, width);
  fuse_.d_inner = below_ ? run.take(rows, width) : nullptr;
  run.fuse(fuse_, rows, /*backward=*/true);
  d_asked_ = run.take(rows, hidden);
  product_nt(d_asked_, fuse_.d_scored, members_.up, rows.count, hidden, width);
  product_nn(d_asked_, fuse_.d_scores, members_.up_bias, rows.count, hidden, count, /*add=*/true);
  // The key's bias moves every score of a token by q·b: through its softmax nothing of it comes back but rounding,
  // unless a mask takes members out.
  float* d_shift = run.take(rows, 1);
  for (std::int64_t t = 0; t < rows.count; ++t) {
    d_shift[t] = 0;
    for (std::int64_t i = 0; i < count; ++i) d_shift[t] += fuse_.d_scores[t * count + i];
  }
  d_query_ = run.take(rows, hidden);
  product_nt(d_query_, d_asked_, data(layer_.key->weight), rows.count, hidden, hidden);
  product_nn(d_query_, d_shift, data(layer_.key->bias), rows.count, hidden, 1, /*add=*/true);
  if (!layer_.query->weight.requires_grad()) return;
  const auto value = grad_target(layer_.value->weight), key = grad_target(layer_.key->weight);
  const auto key_bias = grad_target(layer_.key->bias), query = grad_target(layer_.query->weight);
  const auto query_bias = grad_target(layer_.query->bias);
  product_tn(value.data, d_out, mix_, hidden, hidden, rows.count, value.add);
  product_tn(key.data, query_, d_asked_, hidden, hidden, rows.count, key.add);
  product_tn(key_bias.data, query_, d_shift, hidden, 1, rows.count, key_bias.add);
  product_tn(query.data, d_query_, z_, hidden, hidden, rows.count, query.add);
  run.sum_rows(query_bias.data, d_query_, rows.count, hidden, query_bias.add);
}

// Down through the query and the frozen members.
Departure FusionSite::leave(const Run& run, float* d_sum) {
  const auto& rows = arrival_.rows;
  const std::int64_t hidden = run.hidden(), width = members_.width();
  float* d_z = run.take(rows, hidden);
  product_nn(d_z, d_query_, data(layer_.query->weight), rows.count, hidden, hidden);
  run.multiply(fuse_.d_inner, slope_, rows.count * width);
  product_nn(d_z, fuse_.d_inner, members_.down, rows.count, hidden, width, /*add=*/true);
  return inlet_.leave(run, d_z, d_sum);
}

}  // namespace

std::string fusion_obstacle(const Setup& setup) {
  const auto& config = setup.fusion->config;
  if (!config.query || !config.key || !config.value || !config.value_before_softmax) return "a static fusion";
  if (config.query_before_ln || config.residual_before || config.temperature) return "an option of the fusion";
  for (const auto& child : setup.children) {
    if (child.kind != SetupKind::single) return "a composition inside a fusion";
    const auto& own = child.adapter->config;
    if (auto reason = adapter_obstacle(own); !reason.empty()) return reason;
    if (own.is_parallel) return "a fusion of parallel adapters";
    if (own.activation != setup.children.back().adapter->config.activation) return "a fusion of several activations";
  }
  return "";
}

std::unique_ptr<SitePass> fusion_site(const Setup& setup, std::int64_t layer, Site site) {
  return std::make_unique<FusionSite>(setup, layer, site);
}

}  // namespace fathom::trainer::packed
