// What a stage of the encoder does between its sub-block and its output: LayerNorm alone, an adapter, or a fusion. One
// object per stage and pass; forward() and, for a pass that learns, backward() are called once each, in that order.
#pragma once

#include <memory>

#include "trainer/adapters/composition.hpp"
#include "trainer/packed/run.hpp"

namespace fathom::trainer::packed {

// The sub-block's product on its way into the site: h = mask(product + bias). All [rows, hidden].
struct Arrival {
  float* product = nullptr;  // the site may write into it
  const float* bias = nullptr;
  Mask mask;
  const float* x = nullptr;  // the sub-block's input
  FrozenNorm norm;
  Rows rows;
};

// What goes back into the sub-block: the gradients of the product and of x on the way around it. Both are the caller's
// to write into, and may be one buffer; null when nothing below wants them.
struct Departure {
  float* d_product = nullptr;
  float* d_x = nullptr;
};

class SitePass {
 public:
  virtual ~SitePass() = default;
  // Writes y [rows, hidden]. keep: for a backward() to follow. below: gradients are wanted below this site as well;
  // without it what only they need is not kept.
  virtual void forward(const Run& run, const Arrival& arrival, float* y, bool keep, bool below) = 0;
  // Adds the gradients of the site's trained tensors to their .grad. d_y may be written into.
  virtual Departure backward(const Run& run, float* d_y) = 0;
};

// y = LN(h + x).
std::unique_ptr<SitePass> plain_site();

// One adapter: y = LN(up(curve(down(z))) + h + x), where z is LN(h + x), h or x.
std::unique_ptr<SitePass> adapter_site(const Adapter& adapter, std::int64_t layer, Site site);

// AdapterFusion over single adapters, `setup` of kind fuse, where `setup` is active.
std::unique_ptr<SitePass> fusion_site(const Setup& setup, std::int64_t layer, Site site);

// Why fusion_site() cannot do what the setup asks for; empty when it can.
std::string fusion_obstacle(const Setup& setup);

// Why adapter_site() cannot do what the config asks for; empty when it can.
std::string adapter_obstacle(const AdapterConfig& config);

// The loop that computes an activation; false when there is none.
bool curve_of(Activation activation, Curve* curve);

// Where a gradient is written: the tensor's .grad, made if there was none. add: keep what it holds.
struct GradTarget {
  float* data = nullptr;
  bool add = false;
};
GradTarget grad_target(const at::Tensor& value);

}  // namespace fathom::trainer::packed
