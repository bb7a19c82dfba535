#include "trainer/model/base_model.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include "trainer/checkpoint/safetensors.hpp"
#include "trainer/checkpoint/shards.hpp"
#include "trainer/checkpoint/torch_file.hpp"

namespace fathom::trainer {

at::Tensor Linear::operator()(const at::Tensor& x) const { return at::linear(x, weight, bias); }

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, {weight.size(0)}, weight, bias, eps);
}

namespace {

// Names every tensor of the model once; used to read, to list and to copy.
template <class Model, class Visit>
void visit_tensors(Model& m, const Visit& visit) {
  const auto linear = [&](const std::string& key, auto& l) {
    visit(key + ".weight", l.weight);
    visit(key + ".bias", l.bias);
  };
  visit("embeddings.word_embeddings.weight", m.word_embeddings);
  visit("embeddings.position_embeddings.weight", m.position_embeddings);
  const bool mpnet = m.config.family == ModelFamily::mpnet;
  if (!mpnet) visit("embeddings.token_type_embeddings.weight", m.type_embeddings);
  linear("embeddings.LayerNorm", m.embedding_norm);
  if (mpnet) visit("encoder.relative_attention_bias.weight", m.relative_bias);
  for (std::size_t i = 0; i < m.layers.size(); ++i) {
    const std::string layer = "encoder.layer." + std::to_string(i) + ".";
    auto& l = m.layers[i];
    linear(layer + (mpnet ? "attention.attn.q" : "attention.self.query"), l.query);
    linear(layer + (mpnet ? "attention.attn.k" : "attention.self.key"), l.key);
    linear(layer + (mpnet ? "attention.attn.v" : "attention.self.value"), l.value);
    linear(layer + (mpnet ? "attention.attn.o" : "attention.output.dense"), l.attention_output);
    linear(layer + (mpnet ? "attention.LayerNorm" : "attention.output.LayerNorm"), l.attention_norm);
    linear(layer + "intermediate.dense", l.intermediate);
    linear(layer + "output.dense", l.output);
    linear(layer + "output.LayerNorm", l.output_norm);
  }
  if (m.pooler) linear("pooler.dense", *m.pooler);
}

bool ends_with(const std::string& text, const std::string& end) { return text.ends_with(end); }

// The shape that the config asks for under a key without prefix.
std::vector<std::int64_t> shape_of(const std::string& key, const ModelConfig& c) {
  if (key == "embeddings.word_embeddings.weight") return {c.vocabulary, c.hidden};
  if (key == "embeddings.position_embeddings.weight") return {c.positions, c.hidden};
  if (key == "embeddings.token_type_embeddings.weight") return {c.token_types, c.hidden};
  if (key == "encoder.relative_attention_bias.weight") return {c.relative_buckets, c.heads};
  const bool intermediate = key.find(".intermediate.") != std::string::npos;
  if (ends_with(key, ".bias")) return {intermediate ? c.intermediate : c.hidden};
  if (key.find("LayerNorm") != std::string::npos) return {c.hidden};
  if (intermediate) return {c.intermediate, c.hidden};
  if (ends_with(key, ".output.dense.weight") && key.find("attention") == std::string::npos) {
    return {c.hidden, c.intermediate};
  }
  return {c.hidden, c.hidden};
}

// Keys without the family's prefix and with today's LayerNorm names. corrupt: two spellings of one key.
Result<NamedTensors> normalised(const ModelConfig& config, const NamedTensors& tensors) {
  NamedTensors out;
  const std::string prefix = config.prefix();
  for (const auto& [key, tensor] : tensors) {
    std::string k = key.starts_with(prefix) ? key.substr(prefix.size()) : key;
    if (ends_with(k, "LayerNorm.gamma")) k.replace(k.size() - 5, 5, "weight");
    if (ends_with(k, "LayerNorm.beta")) k.replace(k.size() - 4, 4, "bias");
    const auto [at, fresh] = out.emplace(std::move(k), tensor);
    if (!fresh) return Error{Errc::corrupt, "tensor \"" + at->first + "\" stands there twice, also as \"" + key + "\""};
  }
  return out;
}

std::string text_of(at::IntArrayRef shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

Result<at::Tensor> take(const NamedTensors& tensors, const std::string& key, const ModelConfig& config) {
  const auto found = tensors.find(key);
  if (found == tensors.end()) {
    return Error{Errc::corrupt, fmt::format("tensor \"{}\" is missing; config.json asks for {} layers of width {}", key,
                                            config.layers, config.hidden)};
  }
  const std::vector<std::int64_t> shape = shape_of(key, config);
  const at::Tensor& tensor = found->second;
  if (tensor.sizes() != at::IntArrayRef(shape)) {
    return Error{Errc::corrupt, fmt::format("tensor \"{}\" has shape {}, config.json asks for {}", key,
                                            text_of(tensor.sizes()), text_of(shape))};
  }
  if (!tensor.is_floating_point()) {
    return Error{Errc::corrupt, fmt::format("tensor \"{}\" holds no floating-point numbers", key)};
  }
  // float64 weights stay so: the tests that measure rounding run the model in double.
  return tensor.scalar_type() == at::kDouble ? tensor : tensor.to(at::kFloat);
}

Result<NamedTensors> read_weights(const std::filesystem::path& folder) {
  const auto safetensors = folder / "model.safetensors";
  if (std::filesystem::exists(safetensors)) {
    FATHOM_ASSIGN(SafetensorsFile file, read_safetensors(safetensors));
    return std::move(file.tensors);
  }
  const auto index = folder / "model.safetensors.index.json";
  if (std::filesystem::exists(index)) return read_shards(index);
  const auto bin = folder / "pytorch_model.bin";
  if (std::filesystem::exists(bin)) return read_torch_file(bin);
  const auto bin_index = folder / "pytorch_model.bin.index.json";
  if (std::filesystem::exists(bin_index)) return read_shards(bin_index);
  return Error{Errc::not_found, fmt::format("{}: neither model.safetensors nor pytorch_model.bin is there, nor the "
                                            "index of either in shards; the folder of a Hugging Face model is needed",
                                            folder.string())};
}

}  // namespace

Parameters BaseModel::parameters() const {
  Parameters out;
  visit_tensors(*this, [&](const std::string& key, const at::Tensor& tensor) {
    const std::string name = config.prefix() + key;
    out.push_back({name, tensor, decays(name, tensor)});
  });
  return out;
}

BaseModel BaseModel::clone() const {
  BaseModel copy = *this;
  visit_tensors(copy, [](const std::string&, at::Tensor& tensor) { tensor = tensor.detach().clone(); });
  return copy;
}

BaseModel BaseModel::to(at::Device device) const {
  BaseModel moved = *this;
  visit_tensors(moved, [&](const std::string&, at::Tensor& tensor) { tensor = tensor.to(device); });
  return moved;
}

Result<BaseModel> make_base_model(const ModelConfig& config, const NamedTensors& tensors) {
  FATHOM_ASSIGN(const NamedTensors known, normalised(config, tensors));
  BaseModel model;
  model.config = config;
  model.layers.resize(static_cast<std::size_t>(config.layers));
  if (known.contains("pooler.dense.weight")) model.pooler.emplace();
  Status status = success();
  visit_tensors(model, [&](const std::string& key, at::Tensor& tensor) {
    if (!status) return;
    Result<at::Tensor> found = take(known, key, config);
    if (found) {
      tensor = *found;
    } else {
      status = found.error();
    }
  });
  FATHOM_TRY(status);
  const std::string beyond = fmt::format("encoder.layer.{}.", config.layers);
  if (auto more = known.lower_bound(beyond); more != known.end() && more->first.starts_with(beyond)) {
    return Error{Errc::corrupt,
                 fmt::format("tensor \"{}\" belongs to a layer that config.json, with {} layers, does not "
                             "have",
                             more->first, config.layers)};
  }
  model.embedding_norm.eps = config.layer_norm_eps;
  for (EncoderLayer& layer : model.layers) layer.attention_norm.eps = layer.output_norm.eps = config.layer_norm_eps;
  return model;
}

BaseModel random_base_model(const ModelConfig& config) {
  constexpr std::uint64_t kSeed = 0;
  at::Generator generator = at::detail::createCPUGenerator(kSeed);
  BaseModel model;
  model.config = config;
  model.layers.resize(static_cast<std::size_t>(config.layers));
  model.pooler.emplace();
  visit_tensors(model, [&](const std::string& key, at::Tensor& tensor) {
    tensor = at::zeros(shape_of(key, config));
    if (ends_with(key, ".bias")) return;
    if (key.find("LayerNorm") != std::string::npos) {
      tensor.fill_(1);
    } else {
      tensor.normal_(0, config.initializer_range, generator);
    }
  });
  model.embedding_norm.eps = config.layer_norm_eps;
  for (EncoderLayer& layer : model.layers) layer.attention_norm.eps = layer.output_norm.eps = config.layer_norm_eps;
  return model;
}

Result<std::shared_ptr<const BaseModel>> load_base_model(const std::filesystem::path& folder) {
  FATHOM_ASSIGN(const ModelConfig config, read_model_config(folder));
  FATHOM_ASSIGN(const NamedTensors tensors, read_weights(folder));
  Result<BaseModel> model = make_base_model(config, tensors);
  if (!model) return Error{model.error().code, folder.string() + ": " + model.error().message};
  return std::shared_ptr<const BaseModel>(std::make_shared<BaseModel>(std::move(*model)));
}

}  // namespace fathom::trainer
