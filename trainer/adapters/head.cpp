#include "trainer/adapters/head.hpp"

#include <set>
#include <stdexcept>

#include <ATen/core/Generator.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/mse_loss.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/part_names.hpp"
#include "trainer/adapters/init.hpp"
#include "trainer/adapters/json_keys.hpp"
#include "trainer/adapters/strict.hpp"
#include "trainer/model/encoder.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;

constexpr std::int64_t kMaxLabels = 1 << 20;
constexpr std::int64_t kMaxHeadLayers = 16;

// The numbers that the library's nn.Sequential gives to the linears: every layer has a dropout before and, but for the
// last, an activation after it.
std::vector<std::int64_t> indices(const HeadConfig& config) {
  std::vector<std::int64_t> out;
  std::int64_t next = 0;
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    out.push_back(next + 1);
    next += config.activation_function ? 3 : 2;
  }
  return out;
}

std::string key_of(const std::string& name, std::int64_t index) { return fmt::format("heads.{}.{}.", name, index); }

void read_labels(JsonKeys& keys, HeadConfig& config) {
  const json* map = keys.optional("label2id");
  if (!map) return;
  if (!map->is_object()) return keys.fail("\"label2id\" must be an object");
  config.labels.assign(static_cast<std::size_t>(config.num_labels), "");
  std::set<std::int64_t> seen;
  for (const auto& [label, id] : map->items()) {
    const auto number = id.is_number_integer() ? id.get<std::int64_t>() : -1;
    if (number < 0 || number >= config.num_labels || !seen.insert(number).second) {
      return keys.fail(
          fmt::format("\"label2id\": \"{}\" has no id of its own below num_labels {}", label, config.num_labels));
    }
    config.labels[static_cast<std::size_t>(number)] = label;
  }
  if (seen.size() != config.labels.size()) keys.fail("\"label2id\" does not name every label");
}

void read_sizes(JsonKeys& keys, HeadConfig& config) {
  config.num_labels = keys.count("num_labels", 2, 1, kMaxLabels);
  config.layers = keys.count("layers", 2, 1, kMaxHeadLayers);
}

double head_dropout(const HeadConfig& config, const ModelConfig& model) {
  return config.dropout_prob.value_or(model.classifier_dropout.value_or(model.hidden_dropout));
}

}  // namespace

Result<HeadConfig> head_config_from_json(const json& object) {
  if (!object.is_object()) return Error{Errc::invalid_argument, "the head's \"config\" must be an object"};
  JsonKeys keys(object);
  HeadConfig c;
  if (const std::string type = keys.text("head_type", ""); type != "classification") {
    keys.unsupported("head_type \"" + type + "\" is not supported, only \"classification\" is");
  }
  read_sizes(keys, c);
  c.activation_function.reset();
  if (const json* activation = keys.optional("activation_function"); activation && activation->is_string()) {
    c.activation_function = activation->get<std::string>();
    if (auto known = parse_activation(*c.activation_function); !known) keys.fail(known.error().message);
  }
  read_labels(keys, c);
  c.use_pooler = keys.flag("use_pooler", false);
  c.bias = keys.flag("bias", true);
  if (const double p = keys.number("dropout_prob", -1); p >= 0) c.dropout_prob = p;
  if (c.dropout_prob.value_or(0) >= 1) keys.fail("\"dropout_prob\" must lie in [0, 1)");
  FATHOM_TRY(keys.status());
  return c;
}

json to_json(const HeadConfig& c) {
  json labels = json::object();
  for (std::int64_t i = 0; i < c.num_labels; ++i) {
    const auto index = static_cast<std::size_t>(i);
    labels[index < c.labels.size() ? c.labels[index] : fmt::format("LABEL_{}", i)] = i;
  }
  return {{"head_type", "classification"},
          {"num_labels", c.num_labels},
          {"layers", c.layers},
          {"activation_function", c.activation_function ? json(*c.activation_function) : json(nullptr)},
          {"label2id", labels},
          {"use_pooler", c.use_pooler},
          {"bias", c.bias},
          {"dropout_prob", c.dropout_prob ? json(*c.dropout_prob) : json(nullptr)}};
}

Parameters Head::parameters() const {
  Parameters out;
  for (const auto& [index, linear] : linears) {
    const std::string key = key_of(name, index);
    out.push_back({key + "weight", linear.weight, true});
    if (linear.bias.defined()) out.push_back({key + "bias", linear.bias, false});
  }
  return out;
}

Result<Head> make_head(const std::string& name, const HeadConfig& config, const ModelConfig& model,
                       at::Generator& generator) {
  FATHOM_TRY(check_part_name("head", name));
  Head head{name, config, {}};
  const std::vector<std::int64_t> numbers = indices(config);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const bool last = i + 1 == numbers.size();
    head.linears[numbers[i]] =
        default_linear(model.hidden, last ? config.num_labels : model.hidden, !last || config.bias, generator);
  }
  // The library draws all of them first and re-initialises them afterwards.
  for (auto& [index, linear] : head.linears) redraw_normal(linear, model.initializer_range, generator);
  for (const Parameter& p : head.parameters()) p.value.set_requires_grad(true);
  return head;
}

Result<Head> head_from_tensors(const std::string& name, const HeadConfig& config, const ModelConfig& model,
                               const NamedTensors& tensors) {
  FATHOM_TRY(check_part_name("head", name));
  Head head{name, config, {}};
  StrictReader reader(tensors);
  const std::vector<std::int64_t> numbers = indices(config);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const bool last = i + 1 == numbers.size();
    const std::int64_t out = last ? config.num_labels : model.hidden;
    Linear& linear = head.linears[numbers[i]];
    linear.weight = reader.take(key_of(name, numbers[i]) + "weight", {out, model.hidden});
    if (!last || config.bias) linear.bias = reader.take(key_of(name, numbers[i]) + "bias", {out});
  }
  FATHOM_TRY(reader.finish());
  return head;
}

at::Tensor head_logits(const Head& head, const BaseModel& model, const at::Tensor& last_hidden_state,
                       const DropoutSource* source) {
  at::Tensor x = head.config.use_pooler ? pooled_output(model, last_hidden_state) : last_hidden_state.select(1, 0);
  const double p = head_dropout(head.config, model.config);
  Activation activation = Activation::identity;
  // The name was checked when the config was read.
  if (head.config.activation_function) activation = parse_activation(*head.config.activation_function).value();
  std::uint32_t layer = 0;
  for (const auto& [index, linear] : head.linears) {
    if (source) x = dropout(x, p, *source, dropout_site::head + 2 * layer);
    x = linear(x);
    if (++layer < head.linears.size()) x = activate(activation, x);
  }
  return x;
}

at::Tensor head_loss(const Head& head, const at::Tensor& logits, const at::Tensor& labels) {
  if (head.config.num_labels == 1) return at::mse_loss(logits.view(-1), labels.view(-1));
  return at::cross_entropy_loss(logits, labels.view(-1));
}

}  // namespace fathom::trainer
