#include "trainer/adapters/adapter.hpp"

#include <algorithm>
#include <cmath>
#include <mutex>

#include <ATen/core/Generator.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "common/part_names.hpp"
#include "trainer/adapters/init.hpp"
#include "trainer/adapters/strict.hpp"

namespace fathom::trainer {
namespace {

constexpr double kInnerEps = 1e-5;  // nn.LayerNorm's default, also in BERT models
constexpr std::array<Site, 2> kSites = {Site::attention, Site::output};

std::string site_key(const ModelConfig& model, std::int64_t layer, Site site) {
  return fmt::format("{}encoder.layer.{}.{}output.adapters.", model.prefix(), layer,
                     site == Site::attention ? "attention." : "");
}

std::int64_t width(const AdapterConfig& config, const ModelConfig& model, std::int64_t layer) {
  // Python's int(hidden // factor): floor of the true quotient, at least 1.
  const double factor = config.reduction_factor.at(layer);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::floor(static_cast<double>(model.hidden) / factor)));
}

// Calls visit(leaf, tensor, shape) for every tensor of a module in the order of named_parameters(). The norm before is
// also the first element of the down stack, so the linear there is number 1.
template <class Module, class Visit>
void visit_module(Module& m, const AdapterConfig& config, std::int64_t hidden, std::int64_t b, const Visit& visit) {
  using Shape = std::vector<std::int64_t>;
  if (config.scaling_kind != ScalingKind::fixed) {
    visit("scaling", m.scaling, Shape{config.scaling_kind == ScalingKind::learned ? 1 : hidden});
  }
  if (m.norm_before) {
    visit("adapter_norm_before.weight", m.norm_before->weight, Shape{hidden});
    visit("adapter_norm_before.bias", m.norm_before->bias, Shape{hidden});
  }
  const std::string down = m.norm_before ? "adapter_down.1" : "adapter_down.0";
  visit(down + ".weight", m.down.weight, Shape{b, hidden});
  visit(down + ".bias", m.down.bias, Shape{b});
  visit("adapter_up.weight", m.up.weight, Shape{hidden, b});
  visit("adapter_up.bias", m.up.bias, Shape{hidden});
  if (m.norm_after) {
    visit("adapter_norm_after.weight", m.norm_after->weight, Shape{hidden});
    visit("adapter_norm_after.bias", m.norm_after->bias, Shape{hidden});
  }
  if (m.gate) {
    visit("gate.weight", m.gate->weight, Shape{1, hidden});
    visit("gate.bias", m.gate->bias, Shape{1});
  }
}

// A module with its optional parts in place and no tensors yet.
Bottleneck outline(const AdapterConfig& config) {
  Bottleneck module;
  if (config.ln_before) module.norm_before = LayerNorm{{}, {}, kInnerEps};
  if (config.ln_after) module.norm_after = LayerNorm{{}, {}, kInnerEps};
  if (config.use_gating) module.gate.emplace();
  return module;
}

void redraw(Bottleneck& module, const AdapterConfig& config, at::Generator& generator) {
  constexpr double kStd = 0.02;
  if (config.init_weights == InitWeights::bert) {
    redraw_normal(module.down, kStd, generator);
    redraw_normal(module.up, kStd, generator);
  } else if (config.init_weights == InitWeights::mam_adapter) {
    redraw_kaiming(module.down, generator);
    module.up.weight.zero_();
    module.up.bias.zero_();
  } else {
    redraw_truncated(module.down, generator);
    redraw_truncated(module.up, generator);
    return;  // houlsby leaves the gate as nn.Linear drew it
  }
  if (module.gate) redraw_normal(*module.gate, kStd, generator);
}

Bottleneck fresh_module(const AdapterConfig& config, std::int64_t hidden, std::int64_t b, at::Generator& generator) {
  Bottleneck module = outline(config);
  module.down = default_linear(hidden, b, true, generator);
  module.up = default_linear(b, hidden, true, generator);
  if (config.scaling_kind == ScalingKind::learned) module.scaling = at::ones({1});
  if (config.scaling_kind == ScalingKind::channel) module.scaling = at::ones({hidden});
  for (auto* norm : {&module.norm_before, &module.norm_after}) {
    if (*norm) *norm = LayerNorm{at::ones({hidden}), at::zeros({hidden}), kInnerEps};
  }
  if (module.gate) module.gate = default_linear(hidden, 1, true, generator);
  if (config.init_weights_seed != 0) {
    // The library reseeds the global generator here, so all modules of such an adapter start equal.
    const std::lock_guard lock(generator.mutex());
    generator.set_current_seed(static_cast<std::uint64_t>(config.init_weights_seed));
  }
  redraw(module, config, generator);
  visit_module(module, config, hidden, b,
               [](const std::string&, at::Tensor& tensor, const auto&) { tensor.set_requires_grad(true); });
  return module;
}

// Calls visit(layer, site) for every module that the config asks for.
template <class Visit>
void visit_places(const AdapterConfig& config, const ModelConfig& model, const Visit& visit) {
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    for (const Site site : kSites) {
      if (config.has(site)) visit(layer, site);
    }
  }
}

Status check_config(const AdapterConfig& config, const ModelConfig& model) {
  if (!config.mh_adapter && !config.output_adapter) {
    return Error{Errc::invalid_argument, "an adapter needs mh_adapter or output_adapter"};
  }
  if (!config.leave_out.empty() && config.leave_out.back() >= model.layers) {
    return Error{Errc::invalid_argument, fmt::format("leave_out names layer {}, but the model has layers 0 to {}",
                                                     config.leave_out.back(), model.layers - 1)};
  }
  for (std::int64_t layer = 0; layer < model.layers && !config.reduction_factor.has_default; ++layer) {
    if (!config.reduction_factor.per_layer.contains(layer) && !config.leaves_out(layer)) {
      return Error{Errc::invalid_argument,
                   fmt::format("reduction_factor has neither a value for layer {} nor a \"default\"", layer)};
    }
  }
  return success();
}

}  // namespace

const Bottleneck* Adapter::at(std::int64_t layer, Site site) const {
  if (layer < 0 || layer >= static_cast<std::int64_t>(modules.size())) return nullptr;
  const auto& module = modules[static_cast<std::size_t>(layer)][static_cast<std::size_t>(site)];
  return module ? &*module : nullptr;
}

Parameters Adapter::parameters(const ModelConfig& model) const {
  Parameters out;
  visit_places(config, model, [&](std::int64_t layer, Site site) {
    const Bottleneck* module = at(layer, site);
    if (!module) return;
    const std::string key = site_key(model, layer, site) + name + ".";
    visit_module(*module, config, model.hidden, 0, [&](const std::string& leaf, const at::Tensor& tensor, const auto&) {
      out.push_back({key + leaf, tensor, decays(key + leaf, tensor)});
    });
  });
  return out;
}

NamedTensors Adapter::tensors(const ModelConfig& model) const {
  NamedTensors out = named(parameters(model));
  visit_places(config, model, [&](std::int64_t layer, Site site) {
    const Bottleneck* module = at(layer, site);
    if (!module || !module->norm_before) return;
    const std::string key = site_key(model, layer, site) + name + ".";
    out[key + "adapter_down.0.weight"] = module->norm_before->weight;
    out[key + "adapter_down.0.bias"] = module->norm_before->bias;
  });
  return out;
}

Status check_adapter_name(const std::string& name) {
  FATHOM_TRY(check_part_name("adapter", name));
  // Fusions are named by their members, joined by commas.
  if (name.find(',') == std::string::npos) return success();
  return Error{Errc::invalid_argument, "\"" + name + "\" cannot name an adapter: no commas"};
}

Result<Adapter> make_adapter(const std::string& name, const AdapterConfig& config, const ModelConfig& model,
                             at::Generator& generator, Share share) {
  FATHOM_TRY(check_adapter_name(name));
  FATHOM_TRY(check_config(config, model));
  if (share == Share::layers && !config.reduction_factor.per_layer.empty()) {
    return Error{Errc::invalid_argument, "layers that share their weights need one reduction_factor, not a map"};
  }
  Adapter adapter{name, config, {}};
  adapter.modules.resize(static_cast<std::size_t>(model.layers));
  std::array<std::optional<Bottleneck>, 2> shared;
  visit_places(config, model, [&](std::int64_t layer, Site site) {
    if (config.leaves_out(layer)) return;
    auto& module = adapter.modules[static_cast<std::size_t>(layer)][static_cast<std::size_t>(site)];
    auto& first = shared[static_cast<std::size_t>(site)];
    if (share == Share::layers && first) {
      module = first;
    } else {
      module = first = fresh_module(config, model.hidden, width(config, model, layer), generator);
    }
  });
  return adapter;
}

Result<Adapter> adapter_from_tensors(const std::string& name, const AdapterConfig& config, const ModelConfig& model,
                                     const NamedTensors& tensors, bool ignore_left_out) {
  FATHOM_TRY(check_adapter_name(name));
  FATHOM_TRY(check_config(config, model));
  Adapter adapter{name, config, {}};
  adapter.modules.resize(static_cast<std::size_t>(model.layers));
  StrictReader reader(tensors);
  visit_places(config, model, [&](std::int64_t layer, Site site) {
    const std::string key = site_key(model, layer, site) + name + ".";
    Bottleneck module = outline(config);
    const bool left_out = config.leaves_out(layer);
    visit_module(module, config, model.hidden, width(config, model, layer),
                 [&](const std::string& leaf, at::Tensor& tensor, const std::vector<std::int64_t>& shape) {
                   if (!left_out) tensor = reader.take(key + leaf, shape);
                   if (left_out && ignore_left_out) reader.allow(key + leaf);
                 });
    if (module.norm_before && (!left_out || ignore_left_out)) {  // the norm's second name
      reader.allow(key + "adapter_down.0.weight");
      reader.allow(key + "adapter_down.0.bias");
    }
    if (!left_out) {
      adapter.modules[static_cast<std::size_t>(layer)][static_cast<std::size_t>(site)] = std::move(module);
    }
  });
  FATHOM_TRY(reader.finish());
  return adapter;
}

}  // namespace fathom::trainer
