#include "trainer/engine/spec.hpp"

#include "trainer/engine/settings_object.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;
constexpr std::uint32_t kMaxKeptEpochs = 20;  // each is a whole set of trained tensors in memory

JobKind parse_kind(const SettingsObject& root) {
  const auto kind = root.text("kind");
  if (kind == "adapter") return JobKind::adapter;
  if (kind == "fusion") return JobKind::fusion;
  if (kind == "prune") return JobKind::prune;
  if (kind == "evaluate") return JobKind::evaluate;
  if (kind == "finetune") return JobKind::finetune;
  root.refuse("kind",
              "is '" + kind + "'; this trainer runs adapter, fusion, prune, evaluate, finetune and benchmark jobs");
}

TrainSpec parse_train(const SettingsObject& train) {
  TrainSpec spec;
  spec.lr = train.number("lr", 0);
  spec.epochs = train.count("epochs", 1);
  spec.batch = train.count("batch", 1);
  spec.max_length = train.count("max_length", 3);
  spec.schedule = schedule_kind(train.word("schedule", "linear", {"linear", "cosine", "constant"}));
  spec.warmup = train.number("warmup", 0, 0);
  spec.weight_decay = train.number("weight_decay", 0, 0);
  spec.clip = train.number("clip", 0, 1.0);
  spec.accumulation = train.count("gradient_accumulation", 1, 1);
  spec.patience = train.count("patience", 0, 0);
  spec.zero_gradients = train.word("grads", "none", {"none", "zero"}) == "zero";
  spec.lagged_regularizer = train.word("regularizer", "before", {"before", "lagged"}) == "lagged";
  return spec;
}

void parse_objective(JobSpec& spec, const SettingsObject& root) {
  const json empty = json::object();
  const SettingsObject objective(root.find("objective") ? root.at("objective") : empty, "objective");
  spec.objective.maximize = objective.word("goal", "maximize", {"maximize", "minimize"}) == "maximize";
  if (objective.find("depth")) spec.objective.depth = objective.count("depth", 0);
  spec.metric = objective.text("metric", "primary");
  // A task's own metric goes before the sweep's.
  const SettingsObject task(spec.task, "task");
  if (task.find("metric")) spec.metric = task.text("metric");
}

void parse_fusion(JobSpec& spec, const SettingsObject& fusion) {
  if (!fusion.at("set").is_array() || fusion.at("set").empty()) fusion.refuse("set", "must be a list of member names");
  for (const auto& name : fusion.at("set")) {
    if (!name.is_string()) fusion.refuse("set", "must be a list of member names");
    spec.set.push_back(name.get<std::string>());
  }
  spec.fusion_config = fusion.word("config", "dynamic", {"dynamic", "static"});
  spec.fresh_head = fusion.word("head", "fresh", {"fresh", "member"}) == "fresh";
}

void parse_prune(JobSpec& spec, const SettingsObject& prune) {
  if (prune.find("threshold")) {
    spec.keep.count = 0;
    spec.keep.threshold = prune.number("threshold", 0);
    if (spec.keep.threshold <= 0 || spec.keep.threshold >= 1) prune.refuse("threshold", "must lie between 0 and 1");
  } else {
    spec.keep.count = prune.count("keep", 1);
  }
  spec.keep.global = prune.word("by", "layer", {"layer", "global"}) == "global";
  spec.mask_padding = prune.word("pad", "masked", {"masked", "counted"}) == "masked";
  (void)prune.word("data", "train", {"train"});
  (void)prune.word("rows", "all", {"all"});
}

void parse_evaluate(JobSpec& spec, const SettingsObject& evaluate) {
  const auto& depths = evaluate.at("depths");
  if (depths == "all") return;
  if (!depths.is_array() || depths.empty()) evaluate.refuse("depths", "must be 'all' or a list of depths");
  for (const auto& depth : depths) {
    if (!depth.is_number_unsigned()) evaluate.refuse("depths", "must be 'all' or a list of depths");
    spec.depths.push_back(depth.get<std::uint32_t>());
  }
}

}  // namespace

std::string model_in(const json& settings) {
  const SettingsObject root(settings, "");
  const auto model = root.object("model");
  if (!model.find("config")) return model.text("path");
  (void)model.word("init", "", {"random"});
  return kRandom + model.text("config");
}

Drop parse_drop(const json& value, const std::string& where) {
  const SettingsObject drop(value, where);
  const auto kind = drop.word("kind", "standard", {"standard", "specialized", "robust"});
  if (kind == "robust") {
    const Drop range{drop.count("lo", 0, 0), drop.count("hi", 0, Drop::kToLast), true};
    if (range.lo > range.hi) drop.refuse("lo", "must not be above hi");
    return range;
  }
  const auto n = kind == "standard" ? drop.count("n", 0, 0) : drop.count("n", 0);
  return {n, n, false};
}

Precision precision_of(const json& settings) {
  const SettingsObject root(settings, "");
  const auto word = root.word("precision", "fp32", {"fp32", "bf16", "tf32"});
  if (word == "bf16") return Precision::bf16;
  return word == "tf32" ? Precision::tf32 : Precision::fp32;
}

json to_json(const Drop& drop) {
  if (drop.robust) return {{"kind", "robust"}, {"lo", drop.lo}, {"hi", drop.hi}};
  return {{"kind", drop.lo == 0 ? "standard" : "specialized"}, {"n", drop.lo}};
}

JobSpec parse_spec(const json& settings) {
  JobSpec spec;
  const SettingsObject root(settings, "");
  spec.settings = settings;
  spec.kind = parse_kind(root);
  spec.model = model_in(settings);
  spec.frozen_dropout = root.word("recipe", "fast", {"fast", "hf"}) == "hf";
  spec.precision = precision_of(settings);
  spec.task = root.at("task");
  spec.task_name = root.object("task").text("name");
  parse_objective(spec, root);
  if (const auto* seed = root.find("seed")) {
    // Negative seeds are taken by their two's complement.
    if (!seed->is_number_integer()) root.refuse("seed", "must be a whole number");
    spec.seed = static_cast<std::uint64_t>(seed->get<std::int64_t>());
  }
  if (spec.kind == JobKind::adapter || spec.kind == JobKind::fusion) {
    if (root.find("drop")) spec.drop = parse_drop(root.at("drop"), "drop");
  }
  if (trains(spec.kind)) {
    spec.train = parse_train(root.object("train"));
    spec.keep_best = root.count("keep_best", 1, 1);
    if (spec.keep_best > kMaxKeptEpochs) root.refuse("keep_best", "must be at most " + std::to_string(kMaxKeptEpochs));
  }
  if (spec.kind == JobKind::adapter) {
    spec.adapter = root.at("adapter");
    const auto adapter = root.object("adapter");
    (void)adapter.text("config");
    if (adapter.word("share", "none", {"none", "layers"}) == "layers") spec.share = Share::layers;
    spec.adapter.erase("share");
  }
  if (spec.kind == JobKind::fusion) parse_fusion(spec, root.object("fusion"));
  if (spec.kind == JobKind::prune) parse_prune(spec, root.object("prune"));
  if (spec.kind == JobKind::evaluate) parse_evaluate(spec, root.object("evaluate"));
  return spec;
}

}  // namespace fathom::trainer
