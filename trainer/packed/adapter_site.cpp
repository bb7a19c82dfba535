#include <ATen/ops/empty_like.h>

#include "trainer/packed/gemm.hpp"
#include "trainer/packed/inlet.hpp"

namespace fathom::trainer::packed {
namespace {

class PlainSite final : public SitePass {
 public:
  void forward(const Run& run, const Arrival& arrival, float* y, bool keep, bool /*below*/) override {
    arrival_ = arrival;
    auto args = arrival_norm(run, arrival);
    args.residual = arrival.x;
    add_norm(args, arrival.norm, y);
    if (keep) {
      args.sum = arrival.product;
      args.stats = stats_ = run.take(arrival.rows, 2);
    }
    run.norm(args, arrival.rows);
  }

  Departure backward(const Run& run, float* d_y) override {
    NormBackArgs args;
    args.width = run.hidden();
    args.d_y = d_y;
    args.sum = arrival_.product;
    args.stats = stats_;
    args.gamma = arrival_.norm.gamma;
    args.d_sum = d_y;
    args.mask = arrival_.mask;
    args.places = arrival_.rows.places;
    // Without a mask the two are one gradient.
    args.d_part = arrival_.mask.on ? run.take(arrival_.rows, run.hidden()) : nullptr;
    run.norm_back(args, arrival_.rows);
    return {args.d_part ? args.d_part : d_y, d_y};
  }

 private:
  Arrival arrival_;
  float* stats_ = nullptr;
};

// What the down projection reads.
Feed feed_of(const AdapterConfig& config) {
  if (config.is_parallel) return Feed::input;
  return config.original_ln_before ? Feed::normed : Feed::product;
}

class AdapterSite final : public SitePass {
 public:
  AdapterSite(const Adapter& adapter, std::int64_t layer, Site site)
      : module_(*adapter.at(layer, site)),
        config_(adapter.config),
        inlet_(feed_of(adapter.config)),
        width_(module_.down.weight.size(0)),
        mask_site_(dropout_site::in_layer(layer, dropout_site::adapter + static_cast<std::uint32_t>(site))) {
    curve_of(config_.activation, &curve_);
  }

  void forward(const Run& run, const Arrival& arrival, float* y, bool keep, bool below) override;
  Departure backward(const Run& run, float* d_y) override;

 private:
  void learn(const Run& run, const float* d_up);
  Departure leave(const Run& run, float* d_sum) const;

  const Bottleneck& module_;
  const AdapterConfig& config_;
  Inlet inlet_;
  const std::int64_t width_;  // of the bottleneck
  const std::uint32_t mask_site_;
  Curve curve_ = Curve::identity;
  Mask mask_;  // of the adapter's own dropout
  bool below_ = false;
  Arrival arrival_;
  const float* fed_ = nullptr;                 // what the down projection read
  float *inner_ = nullptr, *slope_ = nullptr;  // curve(down) and its derivative [rows, width]
  float *sum_ = nullptr, *stats_ = nullptr;    // of the last LayerNorm
  float* d_inner_ = nullptr;                   // gradient of the down product
};

void AdapterSite::forward(const Run& run, const Arrival& arrival, float* y, bool keep, bool below) {
  arrival_ = arrival;
  below_ = keep && below;
  mask_ = run.mask(config_.dropout, mask_site_);
  fed_ = inlet_.arrive(run, arrival, below_);
  const auto& rows = arrival.rows;
  const std::int64_t hidden = run.hidden();
  slope_ = run.take(rows, width_);
  inner_ = keep ? run.take(rows, width_) : slope_;
  product_nt(slope_, fed_, module_.down.weight.const_data_ptr<float>(), rows.count, width_, hidden);
  run.activate({width_, curve_, slope_, module_.down.bias.const_data_ptr<float>(), inner_, keep}, rows);
  sum_ = run.take(rows, hidden);
  product_nt(sum_, inner_, module_.up.weight.const_data_ptr<float>(), rows.count, hidden, width_);
  NormArgs args;
  args.width = hidden;
  args.product = sum_;
  args.bias = module_.up.bias.const_data_ptr<float>();
  args.scale = static_cast<float>(config_.scaling);
  args.mask = mask_;
  args.places = rows.places;
  args.residual = arrival.product;
  args.more = arrival.x;
  args.sum = sum_;
  if (keep) args.stats = stats_ = run.take(rows, 2);
  add_norm(args, arrival.norm, y);
  run.norm(args, rows);
}

Departure AdapterSite::backward(const Run& run, float* d_y) {
  const auto& rows = arrival_.rows;
  NormBackArgs args;
  args.width = run.hidden();
  args.d_y = d_y;
  args.sum = sum_;
  args.stats = stats_;
  args.gamma = arrival_.norm.gamma;
  args.d_sum = d_y;
  args.scale = static_cast<float>(config_.scaling);
  args.mask = mask_;
  args.places = rows.places;
  args.d_part = mask_.on || config_.scaling != 1.0 ? run.take(rows, run.hidden()) : nullptr;
  run.norm_back(args, rows);
  learn(run, args.d_part ? args.d_part : d_y);
  return below_ ? leave(run, d_y) : Departure{};
}

// The gradients of the four tensors from that of the up projection's output.
void AdapterSite::learn(const Run& run, const float* d_up) {
  const std::int64_t rows = arrival_.rows.count, hidden = run.hidden();
  d_inner_ = run.take(arrival_.rows, width_);
  product_nn(d_inner_, d_up, module_.up.weight.const_data_ptr<float>(), rows, width_, hidden);
  run.multiply(d_inner_, slope_, rows * width_);
  if (!module_.up.weight.requires_grad()) return;
  const auto up = grad_target(module_.up.weight), up_bias = grad_target(module_.up.bias);
  product_tn(up.data, d_up, inner_, hidden, width_, rows, up.add);
  run.sum_rows(up_bias.data, d_up, rows, hidden, up_bias.add);
  const auto down = grad_target(module_.down.weight), down_bias = grad_target(module_.down.bias);
  product_tn(down.data, d_inner_, fed_, width_, hidden, rows, down.add);
  run.sum_rows(down_bias.data, d_inner_, rows, width_, down_bias.add);
}

Departure AdapterSite::leave(const Run& run, float* d_sum) const {
  const auto& rows = arrival_.rows;
  float* d_fed = run.take(rows, run.hidden());
  product_nn(d_fed, d_inner_, module_.down.weight.const_data_ptr<float>(), rows.count, run.hidden(), width_);
  return inlet_.leave(run, d_fed, d_sum);
}

}  // namespace

bool curve_of(Activation activation, Curve* curve) {
  switch (activation) {
    case Activation::identity:
      *curve = Curve::identity;
      return true;
    case Activation::relu:
      *curve = Curve::relu;
      return true;
    case Activation::gelu:
      *curve = Curve::gelu;
      return true;
    case Activation::gelu_tanh:
      *curve = Curve::gelu_tanh;
      return true;
    case Activation::silu:
      *curve = Curve::silu;
      return true;
    case Activation::tanh:
      *curve = Curve::tanh;
      return true;
    default:
      return false;
  }
}

std::string adapter_obstacle(const AdapterConfig& config) {
  Curve curve;
  if (config.ln_before || config.ln_after) return "an adapter with LayerNorms of its own";
  if (config.use_gating) return "an adapter with a gate";
  if (config.scaling_kind != ScalingKind::fixed) return "an adapter with a learned scaling";
  if (!config.original_ln_after) return "original_ln_after: false";
  if (!config.is_parallel && config.residual_before_ln != ResidualBefore::yes) return "another residual_before_ln";
  if (!curve_of(config.activation, &curve)) return "the activation " + config.non_linearity;
  return "";
}

GradTarget grad_target(const at::Tensor& value) {
  auto& grad = value.mutable_grad();
  const bool there = grad.defined();
  if (!there) grad = at::empty_like(value.detach());
  return {grad.mutable_data_ptr<float>(), there};
}

std::unique_ptr<SitePass> plain_site() { return std::make_unique<PlainSite>(); }

std::unique_ptr<SitePass> adapter_site(const Adapter& adapter, std::int64_t layer, Site site) {
  return std::make_unique<AdapterSite>(adapter, layer, site);
}

}  // namespace fathom::trainer::packed
