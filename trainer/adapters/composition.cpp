#include "trainer/adapters/composition.hpp"

#include <algorithm>
#include <stdexcept>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

namespace fathom::trainer {
namespace {

// The library's BottleneckState: what flows through a composition at one site.
struct State {
  at::Tensor hidden;
  at::Tensor input;     // x, the residual connection of the transformer's sub-block
  at::Tensor residual;  // what the adapter's own residual connection adds
  at::Tensor up;        // the last adapter's output before dropout and residual: what a fusion combines
  const Adapter* last = nullptr;
};

State compose(const Setup& setup, State state, SiteContext& context);

const Adapter& last_adapter(const Setup& setup) {
  return setup.kind == SetupKind::single ? *setup.adapter : last_adapter(setup.children.back());
}

const Adapter& first_adapter(const Setup& setup) {
  return setup.kind == SetupKind::single ? *setup.adapter : first_adapter(setup.children.front());
}

// Adapter.pre_forward of the library. Sets hidden and residual; returns the query of a fusion (undefined without one).
at::Tensor pre_step(const AdapterConfig& config, const FusionConfig* fusion, State& state, const LayerNorm& norm) {
  if (config.is_parallel) {
    state.hidden = state.residual = state.input;
    return fusion ? state.input : at::Tensor();
  }
  at::Tensor query;
  if (config.residual_before_ln == ResidualBefore::yes) state.residual = state.hidden;
  if (fusion && fusion->query_before_ln) query = state.hidden;
  if (config.original_ln_before) {
    const at::Tensor sum = state.hidden + state.input;
    if (config.residual_before_ln == ResidualBefore::post_add) state.residual = sum;
    state.hidden = norm(sum);
  }
  if (config.residual_before_ln == ResidualBefore::no) state.residual = state.hidden;
  if (fusion && !fusion->query_before_ln) query = state.hidden;
  return query;
}

// Adapter.post_forward: `before` is the sub-block's output before any adapter.
at::Tensor post_step(const AdapterConfig& config, at::Tensor hidden, const at::Tensor& before, const at::Tensor& input,
                     const LayerNorm& norm) {
  if (config.is_parallel) hidden = hidden + before;
  return config.original_ln_after ? norm(hidden + input) : hidden;
}

at::Tensor scaled(const Bottleneck& module, const AdapterConfig& config, const at::Tensor& up) {
  if (module.scaling.defined()) return up * module.scaling;
  return config.scaling == 1.0 ? up : up * config.scaling;
}

// One bottleneck: Adapter.forward of the library.
State run_adapter(const Adapter& adapter, State state, SiteContext& context) {
  const Bottleneck& module = *adapter.at(context.layer, context.site);
  const AdapterConfig& config = adapter.config;
  const std::uint32_t number = context.adapters_run++;
  const at::Tensor x = state.hidden;
  const at::Tensor normed = module.norm_before ? (*module.norm_before)(x) : x;
  state.up = scaled(module, config, module.up(activate(config.activation, module.down(normed))));
  at::Tensor out = state.up;
  if (context.dropout) {
    const std::uint32_t kind = dropout_site::adapter + 2 * number + static_cast<std::uint32_t>(context.site);
    out = dropout(out, config.dropout, *context.dropout, dropout_site::in_layer(context.layer, kind));
  }
  // One number per row: the mean of the gate over all tokens, pads included, as the library has it.
  if (module.gate) out = out * at::mean(at::sigmoid((*module.gate)(x)), 1, true);
  // A parallel adapter adds no residual of its own: post_step adds the sub-block's output.
  if (config.is_parallel) {
    state.hidden = module.norm_after ? (*module.norm_after)(out) : out;
  } else {
    if (config.adapter_residual_before_ln) out = out + state.residual;
    if (module.norm_after) out = (*module.norm_after)(out);
    state.hidden = config.adapter_residual_before_ln ? out : out + state.residual;
  }
  state.last = &adapter;
  return state;
}

double fusion_temperature(const FusionConfig& config, std::int64_t calls) {
  // Starts at 50 and falls by a thousandth of that at every forward call, evaluation included.
  return config.temperature ? std::max(50.0 - 0.05 * static_cast<double>(calls), 1.0) : 1.0;
}

struct Fused {
  at::Tensor output;   // [B, T, H]
  at::Tensor weights;  // [B, T, N]
};

// BertFusion.forward. ups: [B, T, N, H].
Fused run_fusion(const FusionLayer& layer, const FusionConfig& config, const at::Tensor& query, at::Tensor ups,
                 const at::Tensor& residual, const SiteContext& context) {
  // The library adds the residual in place to the tensor that serves as keys as well, so keys see it too.
  if (config.residual_before) ups = ups + residual.unsqueeze(2);
  const at::Tensor q = layer.query ? (*layer.query)(query) : query;
  const at::Tensor k = layer.key ? (*layer.key)(ups) : ups;
  const at::Tensor v = layer.value && config.value_before_softmax ? (*layer.value)(ups) : ups;
  at::Tensor scores = at::matmul(q.unsqueeze(2), k.transpose(-2, -1)).squeeze(2);
  if (context.dropout) {
    const double p = config.dropout_prob.value_or(0.0) > 0 ? *config.dropout_prob : context.fusion_dropout;
    const std::uint32_t kind = dropout_site::fusion_scores + static_cast<std::uint32_t>(context.site);
    scores = dropout(scores, p, *context.dropout, dropout_site::in_layer(context.layer, kind));
  }
  const double temperature = fusion_temperature(config, context.fusion_calls);
  const at::Tensor weights = at::softmax(temperature == 1.0 ? scores : scores / temperature, -1);
  at::Tensor output = at::matmul(weights.unsqueeze(2), v).squeeze(2);
  if (layer.value && !config.value_before_softmax) output = (*layer.value)(output);
  return {config.residual_before ? output : output + residual, weights};
}

// The last member's config decides the steps before and after, present in this layer or not.
State compose_fuse(const Setup& setup, State state, SiteContext& context) {
  const Fusion& fusion = *setup.fusion;
  const Adapter& last = last_adapter(setup);
  const at::Tensor query = pre_step(last.config, &fusion.config, state, *context.norm);
  std::vector<at::Tensor> ups;
  std::vector<std::string> names;
  for (const Setup& child : setup.children) {
    if (!child.active(context.layer, context.site)) continue;
    const State out =
        child.kind == SetupKind::single ? run_adapter(*child.adapter, state, context) : compose(child, state, context);
    ups.push_back(out.up);
    names.push_back(last_adapter(child).name);
  }
  const Fused fused = run_fusion(*fusion.at(context.layer, context.site), fusion.config, query, at::stack(ups, 2),
                                 state.residual, context);
  if (context.attention) {
    context.attention->push_back({context.layer, context.site, fusion.name, names, fused.weights.detach()});
  }
  state.hidden = fused.output;
  state.last = &last;
  return state;
}

State compose_stack(const Setup& setup, State state, SiteContext& context) {
  for (const Setup& child : setup.children) {
    if (!child.active(context.layer, context.site)) continue;
    if (child.kind == SetupKind::single) pre_step(child.adapter->config, nullptr, state, *context.norm);
    state =
        child.kind == SetupKind::single ? run_adapter(*child.adapter, state, context) : compose(child, state, context);
  }
  return state;
}

// The library averages weight times output over the children: with weights that sum to 1 a factor 1/N too many, kept
// for equal results.
State compose_average(const Setup& setup, State state, SiteContext& context) {
  pre_step(first_adapter(setup).config, nullptr, state, *context.norm);
  at::Tensor sum;
  const Adapter* last = nullptr;
  for (std::size_t i = 0; i < setup.children.size(); ++i) {
    const Setup& child = setup.children[i];
    if (!child.active(context.layer, context.site)) {
      throw std::invalid_argument("average: every adapter must have a module in every layer that runs it");
    }
    const State out =
        child.kind == SetupKind::single ? run_adapter(*child.adapter, state, context) : compose(child, state, context);
    const at::Tensor weighted = out.hidden * setup.weights[i];
    sum = sum.defined() ? sum + weighted : weighted;
    last = out.last;
  }
  state.hidden = sum / static_cast<double>(setup.children.size());
  state.last = last;
  return state;
}

State compose(const Setup& setup, State state, SiteContext& context) {
  switch (setup.kind) {
    case SetupKind::single:
      pre_step(setup.adapter->config, nullptr, state, *context.norm);
      return run_adapter(*setup.adapter, std::move(state), context);
    case SetupKind::stack:
      return compose_stack(setup, std::move(state), context);
    case SetupKind::fuse:
      return compose_fuse(setup, std::move(state), context);
    case SetupKind::average:
      return compose_average(setup, std::move(state), context);
    case SetupKind::none:
    case SetupKind::parallel:
    case SetupKind::batch_split:
      break;  // check_setup allows these at the top only, where apply_setup takes them
  }
  throw std::invalid_argument("a setup cannot hold parallel or batch_split inside stack, fuse or average");
}

// Rows child by child; a child without a module here gets plain LN(h + x) on its rows.
at::Tensor apply_split(const Setup& setup, const at::Tensor& h, const at::Tensor& x, SiteContext& context) {
  const bool copies = setup.kind == SetupKind::parallel && h.size(0) == context.batch;
  const auto children = static_cast<std::int64_t>(setup.children.size());
  if (setup.kind == SetupKind::parallel && !copies && h.size(0) % children != 0) {
    throw std::invalid_argument("parallel: the rows do not divide among the children");
  }
  std::vector<at::Tensor> outputs;
  std::int64_t row = 0;
  for (std::size_t i = 0; i < setup.children.size(); ++i) {
    const std::int64_t rows = setup.kind == SetupKind::batch_split ? setup.batch_sizes[i]
                              : copies                             ? h.size(0)
                                                                   : h.size(0) / children;
    const std::int64_t from = copies ? 0 : row;
    if (from + rows > h.size(0)) throw std::invalid_argument("batch_split: batch_sizes exceed the batch");
    outputs.push_back(apply_setup(setup.children[i], h.narrow(0, from, rows), x.narrow(0, from, rows), context));
    row += rows;
  }
  if (setup.kind == SetupKind::batch_split && row != h.size(0)) {
    throw std::invalid_argument("batch_split: batch_sizes do not sum to the batch");
  }
  return at::cat(outputs, 0);
}

}  // namespace

at::Tensor apply_setup(const Setup& setup, const at::Tensor& h, const at::Tensor& x, SiteContext& context) {
  if (setup.kind == SetupKind::parallel || setup.kind == SetupKind::batch_split) {
    return apply_split(setup, h, x, context);
  }
  if (!setup.active(context.layer, context.site)) return (*context.norm)(h + x);
  const State state = compose(setup, State{h, x, x, {}, nullptr}, context);
  return post_step(state.last->config, state.hidden, h, state.input, *context.norm);
}

}  // namespace fathom::trainer
