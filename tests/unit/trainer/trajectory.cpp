#include "tests/unit/trainer/trajectory.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include "trainer/checkpoint/adapter_files.hpp"

namespace fathom::trainer::golden {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

std::string family(const std::string& id) { return id.substr(0, id.find('/')); }

fs::path base_folder(const std::string& id) {
  return family(id) == "minilm" ? minilm_folder() : root() / family(id) / "base";
}

// The README's numbers for runs that store no weights: a hash of (place of the tensor, place in the tensor).
void fill_by_formula(at::Tensor tensor, std::uint32_t place) {
  const c10::NoGradGuard no_grad;
  auto* out = tensor.mutable_data_ptr<float>();
  for (std::int64_t j = 0; j < tensor.numel(); ++j) {
    std::uint32_t x = static_cast<std::uint32_t>(j) + place * 1000003U;
    x = (x ^ (x >> 16)) * 0x85EBCA6BU;
    x = (x ^ (x >> 13)) * 0xC2B2AE35U;
    x ^= x >> 16;
    out[j] = static_cast<float>((static_cast<double>(x) / 4294967296.0 - 0.5) * 2 * 0.035);
  }
}

void fill_all_by_formula(const Parameters& parameters) {
  NamedTensors by_key;  // a map: in the order of the keys
  for (const auto& parameter : parameters) by_key.emplace(parameter.name, parameter.value);
  const c10::NoGradGuard no_grad;
  std::uint32_t place = 0;
  for (auto& [key, tensor] : by_key) {
    fill_by_formula(tensor, place++);
    if (key.ends_with("value.weight")) tensor.add_(at::eye(tensor.size(0)));
  }
}

void append(Parameters& all, const Parameters& more) { all.insert(all.end(), more.begin(), more.end()); }

}  // namespace

Trajectory::Trajectory(const std::string& id) {
  folder = root() / family(id) / "trajectories" / id.substr(id.find('/') + 1);
  recorded = read_json(folder / "trajectory.json");
  network.base = value(load_base_model(base_folder(id)));
  rows = read_tensors(root() / family(id) / "train.safetensors");
  const auto& config = network.base->config;
  const auto members = fs::exists(folder / "init") ? stored_members() : formula_members();
  if (network.fusion) {
    network.setup = Setup::fuse(network.fusion, members);
    network.trained = network.fusion->parameters(config);
    for (const auto& member : members)
      for (const auto& parameter : member->parameters(config)) parameter.value.requires_grad_(false);
  } else {
    network.adapter = members.front();
    network.setup = Setup::single(network.adapter);
    network.trained = network.adapter->parameters(config);
  }
  append(network.trained, network.head->parameters());
  for (const auto& parameter : network.trained) parameter.value.requires_grad_(true);
}

std::vector<std::shared_ptr<const Adapter>> Trajectory::stored_members() {
  const auto& config = network.base->config;
  network.head = std::make_shared<Head>(value(load_head(folder / "init_head", config)));
  if (fs::exists(folder / "init_fusion"))
    network.fusion = std::make_shared<Fusion>(value(load_fusion(folder / "init_fusion", config)));
  std::vector<std::shared_ptr<const Adapter>> members;
  for (const auto& name : recorded.at("adapters"))
    members.push_back(
        std::make_shared<Adapter>(value(load_adapter(folder / "init" / name.get<std::string>(), config))));
  return members;
}

std::vector<std::shared_ptr<const Adapter>> Trajectory::formula_members() {
  const auto& config = network.base->config;
  auto generator = at::detail::createCPUGenerator(0);
  std::vector<Adapter> adapters;
  Parameters all;
  for (const auto& name : recorded.at("adapters")) {
    adapters.push_back(value(make_adapter(name, value(adapter_preset("seq_bn")), config, generator)));
    append(all, adapters.back().parameters(config));
  }
  const auto name = recorded.at("fusions").at(0).get<std::string>();
  const auto preset = value(fusion_preset("dynamic"));
  network.fusion = std::make_shared<Fusion>(value(make_fusion(name, preset, adapters, config, generator)));
  HeadConfig head;
  head.layers = 1;
  network.head = std::make_shared<Head>(value(make_head(recorded.at("heads").at(0), head, config, generator)));
  append(all, network.fusion->parameters(config));
  append(all, network.head->parameters());
  fill_all_by_formula(all);
  std::vector<std::shared_ptr<const Adapter>> members;
  for (const auto& adapter : adapters) members.push_back(std::make_shared<Adapter>(adapter));
  return members;
}

LabelledBatch Trajectory::batch(const json& chosen) const {
  const auto index = at::tensor(chosen.get<std::vector<std::int64_t>>(), at::kLong);
  const auto take = [&](const char* name) { return rows.at(name).index_select(0, index); };
  LabelledBatch batch;
  batch.input = {take("input_ids"), take("attention_mask"), take("token_type_ids"), nullptr};
  batch.labels = take(recorded.at("options").value("regression", false) ? "targets" : "labels");
  batch.rows = chosen.size();
  return batch;
}

TrainingOptions Trajectory::options() const {
  const json& given = recorded.at("options");
  TrainingOptions options;
  options.schedule = {ScheduleKind::linear, given.value("lr", 1e-3), given.value("warmup", 5U),
                      recorded.at("loss").size()};
  options.adamw.weight_decay = given.value("weight_decay", 0.01);
  options.dropout = false;
  options.zero_gradients = !given.value("set_to_none", true);
  options.lagged_regularizer = given.value("fusion_reg", "") == "lagged";
  return options;
}

std::vector<std::uint32_t> Trajectory::depths() const {
  const json& given = recorded.at("options");
  return given.value("skip", std::vector<std::uint32_t>(recorded.at("loss").size(), 0));
}

at::Tensor Trajectory::eval_logits() const {
  const c10::NoGradGuard no_grad;
  const auto first = batch({0, 1, 2, 3, 4, 5, 6, 7});
  const auto hidden = forward(*network.base, first.input, network.setup).last_hidden_state;
  return head_logits(*network.head, *network.base, hidden);
}

std::vector<std::string> trajectory_ids() {
  std::vector<std::string> ids;
  if (!present()) return ids;
  const json manifest = read_json(root() / "manifest.json");
  for (const json& entry : manifest.at("trajectories")) ids.push_back(entry.at("id"));
  return ids;
}

bool base_present(const std::string& id) { return fs::exists(base_folder(id) / "model.safetensors"); }

}  // namespace fathom::trainer::golden
