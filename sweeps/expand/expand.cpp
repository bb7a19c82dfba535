#include "sweeps/expand/builder.hpp"
#include "sweeps/search/space.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

Precision precision_of(const std::string& name) {
  if (name == "bf16") return Precision::bf16;
  return name == "tf32" ? Precision::tf32 : Precision::fp32;
}

Kind kind_of(const std::string& name) {
  for (const Kind kind : {Kind::adapter, Kind::fusion, Kind::prune, Kind::evaluate, Kind::finetune}) {
    if (name == name_of(kind)) return kind;
  }
  return Kind::benchmark;
}

std::optional<StopRule> stop_of(const json& stage) {
  const auto found = stage.find("stop");
  if (found == stage.end() || found->is_null()) return std::nullopt;
  // Sweeps that were stored before a key existed do not have it.
  StopRule rule;
  rule.method = found->at("method");
  rule.eta = found->value("eta", rule.eta);
  rule.min = found->at("min");
  rule.max = found->at("max");
  rule.ties_continue = found->value("ties", "continue") == "continue";
  rule.promote = found->value("variant", "stop") == "promote";
  rule.round_up = found->value("rounding", "down") == "up";
  rule.bootstrap = found->value("bootstrap", rule.bootstrap);
  rule.brackets = found->value("brackets", rule.brackets);
  rule.rungs = found->value("rungs", rule.rungs);
  rule.every = found->value("every", rule.every);
  rule.startup = found->value("startup", rule.startup);
  rule.among_all = found->value("among", "completed") == "all";
  rule.window = found->value("window", rule.window);
  rule.percentile = found->value("percentile", rule.percentile);
  if (found->contains("lower")) rule.lower = found->at("lower").get<double>();
  if (found->contains("upper")) rule.upper = found->at("upper").get<double>();
  rule.patience = found->value("patience", rule.patience);
  rule.by_step = found->value("unit", "epoch") == "step";
  rule.min_delta = found->value("min_delta", rule.min_delta);
  if (rule.method != "pbt") return rule;
  rule.every = found->at("interval");
  rule.quantile = found->at("quantile");
  rule.resample = found->at("resample");
  rule.factors = found->at("factors").get<std::vector<double>>();
  if (const auto space = found->find("space"); space != found->end() && space->is_object())
    rule.space = std::make_shared<const Space>(*space);
  rule.excludes = stage.at("exclude");
  return rule;
}

void read_header(Plan& plan, const json& sweep) {
  plan.name = sweep.at("name");
  plan.goal = sweep.at("common").at("objective").at("goal") == "minimize" ? Goal::minimize : Goal::maximize;
  const json& limits = sweep.at("limits");
  plan.limits = {limits.at("concurrency"), limits.at("wall_seconds"), limits.at("job_wall_seconds"),
                 limits.at("failed")};
  plan.keep_latest = sweep.at("checkpoint").at("keep").at("latest");
  plan.retry = {sweep.at("retry").at("max"), sweep.at("retry").at("not_on").get<std::vector<std::string>>()};
  const json& cache = sweep.at("cache");  // a boolean, before it had a ttl
  plan.cache = cache.is_boolean() ? Cache{cache.get<bool>(), 0} : Cache{cache.at("use"), cache.at("ttl_seconds")};
  plan.priority = sweep.at("priority");
  plan.weight = sweep.value("weight", 1U);  // logs of before do not have it
  plan.ranks = sweep.value("ranks", 1U);    // sweeps of before ranks have none
  plan.recipe = sweep.at("common").at("recipe");
  plan.precision = precision_of(sweep.at("common").at("precision"));
  plan.extends = sweep.value("extends", "");
  plan.notes = sweep.at("warnings").get<std::vector<std::string>>();
  for (const json& hook : sweep.value("notify", json::array()))
    plan.notify.push_back({hook.at("on"), hook.at("webhook"), hook.value("secret", "")});
  for (const json& stage : sweep.at("stages")) {
    Stage one;
    one.name = stage.at("name");
    one.kind = kind_of(stage.at("kind"));
    one.stop = stop_of(stage);
    plan.stages.push_back(std::move(one));
  }
}

}  // namespace

Expansion expand_resolved(const json& resolved, std::uint32_t layers, bool identities) {
  Builder builder(resolved, layers, identities);
  read_header(builder.plan(), resolved);
  const json& depth = resolved.at("common").at("objective").at("depth");
  if (!depth.is_null()) builder.check_depth(depth.get<std::uint64_t>(), "objective.depth");
  for (std::size_t i = 0; i < resolved.at("stages").size(); ++i) {
    builder.begin_stage(i);
    const Kind kind = builder.plan().stages[i].kind;
    if (kind == Kind::adapter || kind == Kind::finetune) expand_training(builder);
    if (kind == Kind::fusion) expand_fusion(builder);
    if (kind == Kind::prune || kind == Kind::evaluate) expand_sourced(builder);
    if (kind == Kind::benchmark) expand_benchmark(builder);
    builder.end_stage();
  }
  note_traps(builder);
  return builder.take();
}

Result<Plan> expand(const Sweep& sweep, std::uint32_t layers) {
  try {
    Expansion out = expand_resolved(sweep.resolved, layers, true);
    if (out.problems.empty()) return std::move(out.plan);
    std::string message;
    for (const ExpandProblem& problem : out.problems) {
      if (!message.empty()) message += "; ";
      if (problem.stage != kNoStage) message += "stage '" + out.plan.stages[problem.stage].name + "': ";
      message += problem.message;
    }
    return Error{Errc::invalid_argument, message};
  } catch (const json::exception& error) {
    return Error{Errc::corrupt, std::string("the resolved sweep is not of this version: ") + error.what()};
  }
}

}  // namespace fathom::sweeps
