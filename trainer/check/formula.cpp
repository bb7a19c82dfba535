#include "trainer/check/formula.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/eye.h>
#include <c10/core/GradMode.h>

#include "trainer/check/fields.hpp"

namespace fathom::trainer::check {
namespace {

// The finaliser of MurmurHash3: every bit of x changes about half of the result's bits.
std::uint32_t mixed(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x85EBCA6Bu;
  x ^= x >> 13;
  x *= 0xC2B2AE35u;
  x ^= x >> 16;
  return x;
}

void fill(const at::Tensor& tensor, std::uint32_t number) {
  constexpr double kReach = 0.035;
  auto* values = tensor.mutable_data_ptr<float>();
  for (std::int64_t j = 0; j < tensor.numel(); ++j) {
    const double unit = mixed(static_cast<std::uint32_t>(j) + number * 1000003u) / 4294967296.0;
    values[j] = static_cast<float>((unit - 0.5) * 2 * kReach);
  }
}

}  // namespace

void derive_forms(const std::vector<std::string>& trained, FormulaParts& parts) {
  std::int64_t weights = 0;
  bool value = false;
  for (const std::string& name : trained) {
    if (name.find(".attention.output.adapter") != std::string::npos) parts.both_sites = true;
    if (name.ends_with(".value.weight")) value = true;
    if (name.starts_with("heads.") && name.ends_with(".weight")) ++weights;
  }
  parts.value = value;
  parts.head_layers = weights;
}

Network formula_network(const FormulaParts& parts, const std::shared_ptr<const BaseModel>& base) {
  const c10::NoGradGuard no_grad;
  if (parts.adapters.empty()) throw CheckError("a trajectory without weights names no adapters");
  // Everything drawn is written over; only names and shapes are used.
  at::Generator generator = at::detail::createCPUGenerator(0);
  const auto preset = value_of(adapter_preset(parts.both_sites ? "double_seq_bn" : "seq_bn"));
  NamedTensors all;
  std::vector<Adapter> members;
  std::vector<std::shared_ptr<const Adapter>> shared;
  for (const std::string& name : parts.adapters) {
    members.push_back(value_of(make_adapter(name, preset, base->config, generator)));
    shared.push_back(std::make_shared<Adapter>(members.back()));
    all.merge(members.back().tensors(base->config));
  }
  Network network;
  network.base = base;
  network.adapter = shared.front();
  network.setup = Setup::single(network.adapter);
  if (!parts.fusion.empty()) {
    const auto config = value_of(fusion_preset(parts.value ? "dynamic" : "static"));
    network.fusion =
        std::make_shared<Fusion>(value_of(make_fusion(parts.fusion, config, members, base->config, generator)));
    network.setup = Setup::fuse(network.fusion, shared);
    network.adapter = nullptr;
    all.merge(named(network.fusion->parameters(base->config)));
  }
  HeadConfig head;
  head.num_labels = parts.outputs;
  head.layers = parts.head_layers;
  network.head = std::make_shared<Head>(value_of(make_head(parts.head, head, base->config, generator)));
  all.merge(named(network.head->parameters()));
  std::uint32_t number = 0;
  for (const auto& [key, tensor] : all) {
    tensor.set_requires_grad(false);
    fill(tensor, number++);
    const bool value = key.find(".adapter_fusion_layer.") != std::string::npos && key.ends_with(".value.weight");
    if (value) tensor.add_(at::eye(tensor.size(0)));
  }
  return network;
}

}  // namespace fathom::trainer::check
