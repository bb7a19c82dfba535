#include "trainer/engine/resume.hpp"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/canonical_json.hpp"
#include "common/sha256.hpp"
#include "trainer/checkpoint/safetensors.hpp"
#include "trainer/engine/errors.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;
constexpr int kFormat = 1;

bool is_current(const Checkpoint& checkpoint, const KeptEpoch& kept) {
  return checkpoint.between_epochs && kept.epoch == checkpoint.progress.epoch;
}

std::string prefix_of(const KeptEpoch& kept) { return "kept/" + std::to_string(kept.epoch) + "/"; }

json to_json(const Checkpoint& checkpoint) {
  const auto& progress = checkpoint.progress;
  const auto& best = checkpoint.best;
  json object = {{"epoch", progress.epoch},
                 {"step", progress.step},
                 {"examples", progress.examples},
                 {"tokens", progress.tokens},
                 {"seconds", progress.seconds},
                 {"train_seconds", progress.train_seconds},
                 {"best_epoch", checkpoint.best_epoch()},
                 {"best_objective", checkpoint.best_objective()},
                 {"best_rows", best.empty() ? json::array() : to_json(best.front().rows)},
                 {"rung", progress.rung}};
  for (std::size_t i = 1; i < best.size(); ++i)
    object["kept"].push_back({{"epoch", best[i].epoch},
                              {"objective", best[i].objective},
                              {"rows", to_json(best[i].rows)},
                              {"current", is_current(checkpoint, best[i])}});
  return object;
}

Progress progress_from(const json& object) {
  Progress progress;
  progress.epoch = object.at("epoch").get<std::uint32_t>();
  progress.step = object.at("step").get<std::uint64_t>();
  progress.examples = object.at("examples").get<std::uint64_t>();
  progress.tokens = object.at("tokens").get<std::uint64_t>();
  progress.seconds = object.at("seconds").get<double>();
  progress.train_seconds = object.at("train_seconds").get<double>();
  progress.rung = object.value("rung", std::uint64_t{0});  // checkpoints of before have none
  return progress;
}

// A kept epoch without its tensors, and the prefix of their names.
struct Stored {
  KeptEpoch kept;
  std::string prefix;
};

std::vector<Stored> best_from(const json& object, bool current_is_best) {
  std::vector<Stored> best;
  const auto epoch = object.at("best_epoch").get<std::uint32_t>();
  if (epoch == 0) return best;
  best.push_back({{epoch, object.at("best_objective").get<double>(), rows_from_json(object.at("best_rows")), {}},
                  current_is_best ? "param/" : "best/"});
  for (const auto& one : object.value("kept", json::array())) {
    KeptEpoch kept{
        one.at("epoch").get<std::uint32_t>(), one.at("objective").get<double>(), rows_from_json(one.at("rows")), {}};
    auto prefix = one.at("current").get<bool>() ? "param/" : prefix_of(kept);
    best.push_back({std::move(kept), std::move(prefix)});
  }
  return best;
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

struct Metadata {
  Progress progress;
  std::vector<Stored> best;
};

// The identity is checked before any tensor is touched.
Result<Metadata> read_metadata(const std::map<std::string, std::string>& metadata, const std::string& identity) {
  try {
    const auto object = json::parse(metadata.at("fathom"));
    if (object.at("format").get<int>() != kFormat) return Error{Errc::unsupported, "it has another format"};
    if (object.at("identity").get<std::string>() != identity)
      return Error{Errc::failed_precondition, "it belongs to other settings, another base model or other data"};
    const auto& progress = object.at("progress");
    return Metadata{progress_from(progress), best_from(progress, object.at("current_is_best").get<bool>())};
  } catch (const std::exception& error) {
    return Error{Errc::corrupt, std::string("its metadata cannot be read: ") + error.what()};
  }
}

}  // namespace

void keep_best(std::vector<KeptEpoch>& best, KeptEpoch epoch, bool maximize, std::size_t limit,
               const std::function<std::vector<at::Tensor>()>& tensors) {
  const auto place = std::find_if(best.begin(), best.end(), [&](const KeptEpoch& other) {
    return maximize ? epoch.objective > other.objective : epoch.objective < other.objective;
  });
  if (place == best.end() && best.size() >= limit) return;
  epoch.tensors = tensors();
  best.insert(place, std::move(epoch));
  if (best.size() > limit) best.pop_back();
}

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
  for (const auto& kept : checkpoint.best) {
    if (is_current(checkpoint, kept)) continue;
    const auto prefix = &kept == &checkpoint.best.front() ? "best/" : prefix_of(kept);
    for (std::size_t i = 0; i < kept.tensors.size(); ++i) tensors.emplace(prefix + parameters[i].name, kept.tensors[i]);
  }
  const json object = {{"format", kFormat},
                       {"identity", identity},
                       {"current_is_best", !checkpoint.best.empty() && is_current(checkpoint, checkpoint.best.front())},
                       {"progress", to_json(checkpoint)}};
  value_or_fail(write_safetensors(file, tensors, {{"fathom", object.dump()}}), ErrorClass::disk);
}

Result<Checkpoint> read_checkpoint(const std::filesystem::path& file, const std::string& identity, AdamW& optimizer) {
  FATHOM_ASSIGN(const auto stored, read_safetensors(file));
  FATHOM_ASSIGN(Metadata metadata, read_metadata(stored.metadata, identity));
  Checkpoint checkpoint;
  checkpoint.progress = metadata.progress;
  const auto& parameters = optimizer.parameters();
  FATHOM_ASSIGN(const auto values, take(stored.tensors, "param/", parameters));
  for (auto& [kept, prefix] : metadata.best) {
    FATHOM_ASSIGN(const auto values_then, take(stored.tensors, prefix, parameters));
    // Clones: the file's mapping is let go.
    for (const auto& tensor : values_then) kept.tensors.push_back(tensor.clone());
    checkpoint.best.push_back(std::move(kept));
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
