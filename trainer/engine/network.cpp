#include "trainer/engine/network.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <numeric>

#include "trainer/adapters/init.hpp"
#include "trainer/adapters/label_order.hpp"
#include "trainer/checkpoint/adapter_files.hpp"
#include "trainer/engine/errors.hpp"
#include "trainer/engine/model_folder.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;

// The preset with the settings' other keys laid over it; the layers that a specialised job drops are left out.
AdapterConfig adapter_config(const JobSpec& spec) {
  json wanted = spec.adapter;
  const auto preset = wanted.at("config").get<std::string>();
  wanted.erase("config");
  // Through JSON, so that every option of the library is reachable by its own name and checked by the one reader.
  json config = to_json(value_or_fail(adapter_preset(preset), ErrorClass::config));
  config.update(wanted);
  if (!spec.drop.robust && spec.drop.lo > 0) {
    std::vector<std::uint32_t> left_out(spec.drop.lo);
    std::iota(left_out.begin(), left_out.end(), 0U);
    config["leave_out"] = left_out;
  }
  return value_or_fail(adapter_config_from_json(config), ErrorClass::config);
}

// Those that a specialised job drops.
std::vector<std::int64_t> layers_below(const JobSpec& spec) {
  std::vector<std::int64_t> layers(spec.drop.robust ? 0 : spec.drop.lo);
  std::iota(layers.begin(), layers.end(), std::int64_t{0});
  return layers;
}

std::shared_ptr<Head> fresh_head(const std::string& name, const BaseModel& base, const OpenTask& task,
                                 at::Generator& generator, HeadConfig config = {}) {
  config.num_labels = task.outputs();
  config.labels = task.labels;
  return std::make_shared<Head>(value_or_fail(make_head(name, config, base.config, generator), ErrorClass::config));
}

void append(Parameters& all, const Parameters& more) { all.insert(all.end(), more.begin(), more.end()); }

void check(const Setup& setup, const BaseModel& base) {
  value_or_fail(check_setup(setup, base.config), ErrorClass::config);
}

// The target member's own head under the fusion's name, trained on.
std::shared_ptr<Head> member_head(const std::vector<Input>& members, const std::string& target,
                                  const std::filesystem::path& folder, const std::string& name, const BaseModel& base,
                                  const OpenTask& task) {
  const auto member =
      std::find_if(members.begin(), members.end(), [&](const Input& input) { return input.name == target; });
  if (member == members.end())
    throw JobError(ErrorClass::config, "settings: fusion.head is 'member', but the target " + target +
                                           " is not in fusion.set; use head: fresh");
  const auto saved = value_or_fail(load_head(folder / member->folder, base.config, name), ErrorClass::model);
  // Its outputs in the order of the task's ids: the member may have been trained with another list.
  auto head = value_or_fail(with_labels(saved, task.labels), ErrorClass::config);
  for (const auto& parameter : head.parameters()) parameter.value.requires_grad_(true);
  return std::make_shared<Head>(std::move(head));
}

// Fresh and loaded parts are made on the CPU, where the library's random numbers come from; they follow their base. The
// tensors stay the same objects, so that every handle to them follows too.
void follow_base(Network& network) {
  const auto place = network.base->word_embeddings.device();
  if (place.is_cpu()) return;
  Parameters all = network.head->parameters();
  for (const auto& adapter : network.setup.adapters()) append(all, adapter->parameters(network.base->config));
  if (network.fusion) append(all, network.fusion->parameters(network.base->config));
  if (network.whole) append(all, network.base->parameters());  // a pooler may have been drawn
  for (const auto& parameter : all) parameter.value.set_data(parameter.value.detach().to(place));
}

// A fresh fusion over frozen members; it has no head yet.
Network fuse(const JobSpec& spec, const std::shared_ptr<const BaseModel>& base, const std::vector<Adapter>& members,
             at::Generator& generator) {
  std::vector<std::shared_ptr<const Adapter>> shared;
  std::string name;
  for (const auto& member : members) {
    shared.push_back(std::make_shared<Adapter>(member));
    name += (name.empty() ? "" : ",") + member.name;
  }
  const auto config = value_or_fail(fusion_preset(spec.fusion_config), ErrorClass::config);
  Network network;
  network.base = base;
  network.precision = spec.precision;
  network.fusion = std::make_shared<Fusion>(
      value_or_fail(make_fusion(name, config, members, base->config, generator), ErrorClass::config));
  network.setup = Setup::fuse(network.fusion, shared);
  return network;
}

void finish_fusion(Network& network) {
  check(network.setup, *network.base);
  append(network.trained, network.fusion->parameters(network.base->config));
  append(network.trained, network.head->parameters());
  follow_base(network);
}

}  // namespace

Network make_adapter_network(const JobSpec& spec, const std::shared_ptr<const BaseModel>& base, const OpenTask& task) {
  // One generator for adapter and head, as torch.manual_seed(seed); add_adapter(); add_classification_head() has it.
  at::Generator generator = at::detail::createCPUGenerator(spec.seed);
  Network network;
  network.base = base;
  network.precision = spec.precision;
  network.adapter = std::make_shared<Adapter>(value_or_fail(
      make_adapter(spec.task_name, adapter_config(spec), base->config, generator, spec.share), ErrorClass::config));
  network.setup = Setup::single(network.adapter);
  network.head = fresh_head(spec.task_name, *base, task, generator);
  check(network.setup, *base);
  append(network.trained, each_once(network.adapter->parameters(base->config)));
  append(network.trained, network.head->parameters());
  follow_base(network);
  return network;
}

Network make_member_network(const JobSpec& spec, const std::shared_ptr<const BaseModel>& base, const OpenTask& task,
                            const Input& member, const std::filesystem::path& folder) {
  Network network = make_adapter_network(spec, base, task);
  auto adapter = value_or_fail(load_adapter(folder / member.folder, base->config, layers_below(spec), member.name),
                               ErrorClass::model);
  // Layers that are left out may be others: those that the drop takes are left out of both.
  json asked = to_json(network.adapter->config), found = to_json(adapter.config);
  asked.erase("leave_out"), found.erase("leave_out");
  if (found != asked)
    throw JobError(ErrorClass::config,
                   "the member '" + member.name + "' is an adapter of another configuration: " + found.dump());
  // The tensors of the fresh adapter are those that the optimizer and the device know.
  const at::NoGradGuard no_grad;
  const auto to = network.adapter->parameters(base->config), from = adapter.parameters(base->config);
  if (to.size() != from.size())
    throw JobError(ErrorClass::model, "the member '" + member.name + "' has weights for other layers");
  for (std::size_t i = 0; i < to.size(); ++i) to[i].value.copy_(from[i].value);
  return network;
}

Network make_fusion_network(const JobSpec& spec, const std::shared_ptr<const BaseModel>& base, const OpenTask& task,
                            const std::vector<Input>& members, const std::filesystem::path& folder) {
  // A specialised fusion drops the lowest n layers of its members too, so that the saved setup is the trained one.
  const auto left_out = layers_below(spec);
  std::vector<Adapter> adapters;
  for (const auto& member : members) {
    adapters.push_back(
        value_or_fail(load_adapter(folder / member.folder, base->config, left_out, member.name), ErrorClass::model));
  }
  at::Generator generator = at::detail::createCPUGenerator(spec.seed);
  Network network = fuse(spec, base, adapters, generator);
  const std::string head_name = "fusion_" + spec.task_name;
  if (spec.fresh_head) {
    network.head = fresh_head(head_name, *base, task, generator);
  } else {
    network.head = member_head(members, spec.task_name, folder, head_name, *base, task);
  }
  finish_fusion(network);
  return network;
}

Network make_random_fusion_network(const JobSpec& spec, const std::shared_ptr<const BaseModel>& base,
                                   const OpenTask& task, std::uint32_t members) {
  at::Generator generator = at::detail::createCPUGenerator(spec.seed);
  std::vector<Adapter> adapters;
  for (std::uint32_t i = 1; i <= members; ++i) {
    adapters.push_back(
        value_or_fail(make_adapter("m" + std::to_string(i), adapter_config(spec), base->config, generator, spec.share),
                      ErrorClass::config));
    for (const auto& parameter : adapters.back().parameters(base->config)) parameter.value.requires_grad_(false);
  }
  Network network = fuse(spec, base, adapters, generator);
  network.head = fresh_head("fusion_" + spec.task_name, *base, task, generator);
  finish_fusion(network);
  return network;
}

Network make_finetune_network(const JobSpec& spec, const OpenModel& model, const OpenTask& task) {
  at::Generator generator = at::detail::createCPUGenerator(spec.seed);
  auto base = std::make_shared<BaseModel>(model.base->clone());
  const auto& config = base->config;
  const auto head = classification_head(config.family);
  if (!head.use_pooler) base->pooler.reset();
  if (head.use_pooler && !base->pooler) {
    base->pooler = default_linear(config.hidden, config.hidden, true, generator);
    redraw_normal(*base->pooler, config.initializer_range, generator);
    *base = base->to(model.base->word_embeddings.device());
  }
  Network network;
  network.base = base;
  network.precision = spec.precision;
  network.whole = true;
  network.origin = model.folder;
  network.head = fresh_head(spec.task_name, *base, task, generator, head);
  append(network.trained, base->parameters());
  append(network.trained, network.head->parameters());
  for (const auto& parameter : network.trained) parameter.value.requires_grad_(true);
  follow_base(network);
  return network;
}

Network load_network(const std::filesystem::path& folder, const std::shared_ptr<const BaseModel>& base) {
  Network network;
  if (is_model_folder(folder)) {
    network = load_model_folder(folder);
    network.base = std::make_shared<const BaseModel>(network.base->to(base->word_embeddings.device()));
    follow_base(network);
    return network;
  }
  network.base = base;
  if (std::filesystem::exists(folder / "adapter_setup.json")) {
    auto saved = value_or_fail(load_setup(folder, base->config), ErrorClass::model);
    // A tree of several tasks (parallel setups) has no single score.
    if (saved.heads.size() != 1)
      throw JobError(ErrorClass::model,
                     folder.string() + ": expected a setup with one head, found " + std::to_string(saved.heads.size()));
    network.setup = saved.setup;
    network.fusion = saved.setup.fusion;
    network.head = saved.heads.front();
  } else {
    network.adapter = std::make_shared<Adapter>(value_or_fail(load_adapter(folder, base->config), ErrorClass::model));
    network.setup = Setup::single(network.adapter);
    network.head = std::make_shared<Head>(value_or_fail(load_head(folder, base->config), ErrorClass::model));
  }
  value_or_fail(check_setup(network.setup, base->config), ErrorClass::model);
  follow_base(network);
  return network;
}

Drop bound_drop(Drop drop, std::uint32_t layers) {
  if (drop.hi == Drop::kToLast) drop.hi = layers - 1;
  if (drop.hi < layers && drop.lo <= drop.hi) return drop;
  throw JobError(ErrorClass::config, "settings: drop reaches " + std::to_string(std::max(drop.lo, drop.hi)) +
                                         ", but the model has " + std::to_string(layers) + " layers: at most " +
                                         std::to_string(layers - 1) + " can be dropped");
}

std::vector<at::Tensor> snapshot(const Network& network) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> values;
  // Clones: the optimizer goes on writing into the parameters.
  for (const auto& parameter : network.trained) values.push_back(parameter.value.detach().clone());
  return values;
}

void restore(const Network& network, const std::vector<at::Tensor>& values) {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < values.size(); ++i) network.trained[i].value.copy_(values[i]);
}

}  // namespace fathom::trainer
