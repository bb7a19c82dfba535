#include "trainer/engine/resume.hpp"

#include <ATen/core/grad_mode.h>

#include <nlohmann/json.hpp>

#include "common/canonical_json.hpp"
#include "common/sha256.hpp"
#include "trainer/checkpoint/safetensors.hpp"
#include "trainer/engine/errors.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;
constexpr int kFormat = 1;

json to_json(const Progress& progress) {
  return {{"epoch", progress.epoch},
          {"step", progress.step},
          {"examples", progress.examples},
          {"tokens", progress.tokens},
          {"seconds", progress.seconds},
          {"train_seconds", progress.train_seconds},
          {"best_epoch", progress.best_epoch},
          {"best_objective", progress.best_objective},
          {"best_rows", to_json(progress.best_rows)},
          {"rung", progress.rung}};
}

Progress progress_from(const json& object) {
  Progress progress;
  progress.epoch = object.at("epoch").get<std::uint32_t>();
  progress.step = object.at("step").get<std::uint64_t>();
  progress.examples = object.at("examples").get<std::uint64_t>();
  progress.tokens = object.at("tokens").get<std::uint64_t>();
  progress.seconds = object.at("seconds").get<double>();
  progress.train_seconds = object.at("train_seconds").get<double>();
  progress.best_epoch = object.at("best_epoch").get<std::uint32_t>();
  progress.best_objective = object.at("best_objective").get<double>();
  progress.best_rows = rows_from_json(object.at("best_rows"));
  progress.rung = object.value("rung", std::uint64_t{0});  // checkpoints of before have none
  return progress;
}

// The parameters' tensors under `prefix`, all there and of their shapes, or an error.
Result<std::vector<at::Tensor>> take(const NamedTensors& tensors, const std::string& prefix,
                                     const std::vector<Parameter>& parameters) {
  std::vector<at::Tensor> taken;
  for (const auto& parameter : parameters) {
    const auto found = tensors.find(prefix + parameter.name);
    if (found == tensors.end()) return Error{Errc::corrupt, "it lacks the tensor " + prefix + parameter.name};
    if (found->second.sizes() != parameter.value.sizes())
      return Error{Errc::corrupt, "the tensor " + prefix + parameter.name + " has another shape"};
    taken.push_back(found->second);
  }
  return taken;
}

// The identity is checked before any tensor is touched.
Result<Checkpoint> read_metadata(const std::map<std::string, std::string>& metadata, const std::string& identity) {
  try {
    const auto object = json::parse(metadata.at("fathom"));
    if (object.at("format").get<int>() != kFormat) return Error{Errc::unsupported, "it has another format"};
    if (object.at("identity").get<std::string>() != identity)
      return Error{Errc::failed_precondition, "it belongs to other settings, another base model or other data"};
    Checkpoint checkpoint;
    checkpoint.progress = progress_from(object.at("progress"));
    checkpoint.current_is_best = object.at("current_is_best").get<bool>();
    return checkpoint;
  } catch (const std::exception& error) {
    return Error{Errc::corrupt, std::string("its metadata cannot be read: ") + error.what()};
  }
}

}  // namespace

json resumable_settings(const JobSpec& spec) {
  json settings = spec.settings;
  const bool by_share = spec.train.warmup > 0 && spec.train.warmup < 1;
  if (spec.train.schedule == ScheduleKind::constant && !by_share) settings.at("train").erase("epochs");
  for (const auto& name : spec.explored) settings.at("train").erase(name.substr(name.find('.') + 1));
  return settings;
}

std::string resume_identity(const std::string& settings_json, const std::string& base_sha256,
                            const std::string& data_sha256) {
  return sha256_hex(canonical_json(json::parse(settings_json)) + "\n" + base_sha256 + "\n" + data_sha256);
}

void write_checkpoint(const std::filesystem::path& file, const std::string& identity, const Checkpoint& checkpoint,
                      const AdamW& optimizer) {
  NamedTensors tensors;
  const auto& parameters = optimizer.parameters();
  for (const auto& parameter : parameters) tensors.emplace("param/" + parameter.name, parameter.value.detach());
  for (const auto& [name, tensor] : optimizer.state()) tensors.emplace("optim/" + name, tensor);
  if (!checkpoint.current_is_best) {
    for (std::size_t i = 0; i < checkpoint.best.size(); ++i)
      tensors.emplace("best/" + parameters[i].name, checkpoint.best[i]);
  }
  const json object = {{"format", kFormat},
                       {"identity", identity},
                       {"current_is_best", checkpoint.current_is_best},
                       {"progress", to_json(checkpoint.progress)}};
  value_or_fail(write_safetensors(file, tensors, {{"fathom", object.dump()}}), ErrorClass::disk);
}

Result<Checkpoint> read_checkpoint(const std::filesystem::path& file, const std::string& identity, AdamW& optimizer) {
  FATHOM_ASSIGN(const auto stored, read_safetensors(file));
  FATHOM_ASSIGN(Checkpoint checkpoint, read_metadata(stored.metadata, identity));
  const auto& parameters = optimizer.parameters();
  FATHOM_ASSIGN(const auto values, take(stored.tensors, "param/", parameters));
  if (checkpoint.progress.best_epoch > 0) {
    const std::string prefix = checkpoint.current_is_best ? "param/" : "best/";
    FATHOM_ASSIGN(const auto best, take(stored.tensors, prefix, parameters));
    // Clones: the file's mapping is let go.
    for (const auto& tensor : best) checkpoint.best.push_back(tensor.clone());
  }
  std::vector<std::pair<std::string, at::Tensor>> state;
  for (const auto& [name, tensor] : stored.tensors) {
    if (name.starts_with("optim/")) state.emplace_back(name.substr(6), tensor);
  }
  // load_state() checks everything before it copies, so parameters are restored only after it succeeded.
  try {
    optimizer.load_state(state);
  } catch (const std::runtime_error& error) {
    return Error{Errc::corrupt, error.what()};
  }
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < values.size(); ++i) parameters[i].value.copy_(values[i]);
  return checkpoint;
}

}  // namespace fathom::trainer
