#include "trainer/adapters/fusion.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/core/Generator.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/full.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "trainer/adapters/init.hpp"
#include "trainer/adapters/json_keys.hpp"
#include "trainer/adapters/strict.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;

constexpr std::array<Site, 2> kSites = {Site::attention, Site::output};

std::string layer_key(const ModelConfig& model, std::int64_t layer, Site site, const std::string& name) {
  return fmt::format("{}encoder.layer.{}.{}output.adapter_fusion_layer.{}.", model.prefix(), layer,
                     site == Site::attention ? "attention." : "", name);
}

template <class Layer, class Visit>
void visit_layer(Layer& layer, const Visit& visit) {
  const auto linear = [&](const std::string& leaf, auto& part, bool bias) {
    if (!part) return;
    visit(leaf + ".weight", part->weight);
    if (bias) visit(leaf + ".bias", part->bias);
  };
  linear("query", layer.query, true);
  linear("key", layer.key, true);
  linear("value", layer.value, false);
}

FusionLayer outline(const FusionConfig& config) {
  FusionLayer layer;
  if (config.query) layer.query.emplace();
  if (config.key) layer.key.emplace();
  if (config.value) layer.value.emplace();
  return layer;
}

// BertFusion.__init__: each linear is drawn as nn.Linear and at once again as N(0, 0.02).
FusionLayer fresh_layer(const FusionConfig& config, std::int64_t hidden, at::Generator& generator) {
  constexpr double kStd = 0.02;
  FusionLayer layer = outline(config);
  for (auto* part : {&layer.query, &layer.key}) {
    if (!*part) continue;
    *part = default_linear(hidden, hidden, true, generator);
    redraw_normal(**part, kStd, generator);
  }
  if (layer.value) {
    layer.value = default_linear(hidden, hidden, false, generator);
    redraw_normal(*layer.value, kStd, generator);
    if (config.value_initialized) {
      layer.value->weight = at::full({hidden, hidden}, 0.000001f, at::kFloat);
      layer.value->weight.fill_diagonal_(1.0);
    }
  }
  visit_layer(layer, [](const std::string&, at::Tensor& tensor) { tensor.set_requires_grad(true); });
  return layer;
}

Status check_fusion_config(const FusionConfig& config) {
  if (config.key || config.query || config.value) return success();
  return Error{Errc::unsupported, "a fusion without key, query and value is not supported"};
}

// The members' common sites; an error if they differ.
Result<std::array<bool, 2>> common_sites(const std::vector<Adapter>& members) {
  if (members.empty()) return Error{Errc::invalid_argument, "a fusion needs at least one adapter"};
  const AdapterConfig& first = members.front().config;
  for (const Adapter& member : members) {
    if (member.config.mh_adapter != first.mh_adapter || member.config.output_adapter != first.output_adapter) {
      return Error{Errc::invalid_argument,
                   fmt::format("adapters \"{}\" and \"{}\" sit at different places (mh_adapter, output_adapter) and "
                               "cannot be fused",
                               members.front().name, member.name)};
    }
  }
  return std::array<bool, 2>{first.mh_adapter, first.output_adapter};
}

}  // namespace

Result<FusionConfig> fusion_preset(std::string_view name) {
  FusionConfig config;
  if (name == "dynamic") return config;
  if (name == "static") {
    config.value = config.regularization = config.value_initialized = false;
    return config;
  }
  return Error{Errc::invalid_argument,
               "unknown fusion config \"" + std::string(name) + "\"; known are dynamic, static"};
}

Result<FusionConfig> fusion_config_from_json(const json& object) {
  if (!object.is_object()) return Error{Errc::invalid_argument, "the fusion's \"config\" must be an object"};
  JsonKeys keys(object);
  FusionConfig c;
  c.key = keys.flag("key", c.key);
  c.query = keys.flag("query", c.query);
  c.value = keys.flag("value", c.value);
  c.query_before_ln = keys.flag("query_before_ln", c.query_before_ln);
  c.regularization = keys.flag("regularization", c.regularization);
  c.residual_before = keys.flag("residual_before", c.residual_before);
  c.temperature = keys.flag("temperature", c.temperature);
  c.value_before_softmax = keys.flag("value_before_softmax", c.value_before_softmax);
  c.value_initialized = keys.flag("value_initialized", c.value_initialized);
  const double p = keys.number("dropout_prob", -1);
  if (p >= 1) keys.fail("\"dropout_prob\" must lie in [0, 1)");
  if (p >= 0) c.dropout_prob = p;
  FATHOM_TRY(keys.status());
  FATHOM_TRY(check_fusion_config(c));
  return c;
}

json to_json(const FusionConfig& c) {
  return {{"key", c.key},
          {"query", c.query},
          {"value", c.value},
          {"query_before_ln", c.query_before_ln},
          {"regularization", c.regularization},
          {"residual_before", c.residual_before},
          {"temperature", c.temperature},
          {"value_before_softmax", c.value_before_softmax},
          {"value_initialized", c.value_initialized},
          {"dropout_prob", c.dropout_prob ? json(*c.dropout_prob) : json(nullptr)}};
}

const FusionLayer* Fusion::at(std::int64_t layer, Site site) const {
  if (layer < 0 || layer >= static_cast<std::int64_t>(layers.size())) return nullptr;
  const auto& part = layers[static_cast<std::size_t>(layer)][static_cast<std::size_t>(site)];
  return part ? &*part : nullptr;
}

Parameters Fusion::parameters(const ModelConfig& model) const {
  Parameters out;
  for (std::int64_t layer = 0; layer < static_cast<std::int64_t>(layers.size()); ++layer) {
    for (const Site site : kSites) {
      const FusionLayer* part = at(layer, site);
      if (!part) continue;
      const std::string key = layer_key(model, layer, site, name);
      visit_layer(*part, [&](const std::string& leaf, const at::Tensor& tensor) {
        out.push_back({key + leaf, tensor, decays(key + leaf, tensor)});
      });
    }
  }
  return out;
}

Result<Fusion> make_fusion(const std::string& name, const FusionConfig& config, const std::vector<Adapter>& members,
                           const ModelConfig& model, at::Generator& generator) {
  FATHOM_TRY(check_fusion_config(config));
  FATHOM_ASSIGN(const auto sites, common_sites(members));
  Fusion fusion{name, {}, config, {}};
  for (const Adapter& member : members) fusion.adapters.push_back(member.name);
  if (fusion.name.empty()) fusion.name = fmt::format("{}", fmt::join(fusion.adapters, ","));
  fusion.layers.resize(static_cast<std::size_t>(model.layers));
  for (auto& layer : fusion.layers) {
    for (std::size_t site = 0; site < 2; ++site) {
      if (sites[site]) layer[site] = fresh_layer(config, model.hidden, generator);
    }
  }
  return fusion;
}

Result<Fusion> fusion_from_tensors(const std::string& name, const FusionConfig& config,
                                   const std::vector<std::string>& adapters, const ModelConfig& model,
                                   const NamedTensors& tensors) {
  FATHOM_TRY(check_fusion_config(config));
  Fusion fusion{name, adapters, config, {}};
  fusion.layers.resize(static_cast<std::size_t>(model.layers));
  StrictReader reader(tensors);
  std::array<bool, 2> present{};
  for (const Site site : kSites) {
    const std::string first = config.query ? "query.weight" : config.key ? "key.weight" : "value.weight";
    present[static_cast<std::size_t>(site)] = reader.has(layer_key(model, 0, site, name) + first);
  }
  if (!present[0] && !present[1]) reader.fail(fmt::format("no tensors of a fusion named \"{}\"", name));
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    for (const Site site : kSites) {
      if (!present[static_cast<std::size_t>(site)]) continue;
      FusionLayer part = outline(config);
      const std::string key = layer_key(model, layer, site, name);
      visit_layer(part, [&](const std::string& leaf, at::Tensor& tensor) {
        tensor = reader.take(
            key + leaf, leaf.ends_with("bias") ? std::vector{model.hidden} : std::vector{model.hidden, model.hidden});
      });
      fusion.layers[static_cast<std::size_t>(layer)][static_cast<std::size_t>(site)] = std::move(part);
    }
  }
  FATHOM_TRY(reader.finish());
  return fusion;
}

at::Tensor fusion_regularization(const Fusion& fusion, std::int64_t first_layer) {
  at::Tensor sum;
  for (std::size_t layer = 0; layer < fusion.layers.size(); ++layer) {
    if (static_cast<std::int64_t>(layer) < first_layer) continue;
    for (const auto& part : fusion.layers[layer]) {
      if (!part || !part->value || !part->value->weight.requires_grad()) continue;
      const at::Tensor& w = part->value->weight;
      const at::Tensor term = 0.01 * (at::eye(w.size(0), w.options().requires_grad(false)) - w).pow(2).sum();
      sum = sum.defined() ? sum + term : term;
    }
  }
  return sum;
}

}  // namespace fathom::trainer
