#include "cli/plan_text.hpp"

#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/text_table.hpp"
#include "sweeps/search/rungs.hpp"
#include "sweeps/search/stopper.hpp"

namespace fathom::cli {

using nlohmann::ordered_json;

namespace {

// What of a rule its method looks at. Rungs are those of the first bracket, which has all of them.
ordered_json stop_json(const sweeps::StopRule& rule) {
  ordered_json out = {{"method", rule.method}, {"unit", sweeps::unit_of(rule)}, {"min", rule.min}};
  out["max"] = rule.max == 0 || rule.max == sweeps::kNoLastStep ? ordered_json() : ordered_json(rule.max);
  if (sweeps::has_eta(rule)) {
    out["eta"] = rule.eta;
    const auto rungs = sweeps::rungs_of(rule);
    out["rungs"] = rungs.empty() ? ordered_json() : ordered_json(rungs);
    if (rule.method != "hyperband") out["brackets"] = rule.brackets;  // hyperband: one from each rung
    if (rule.method == "asha") out["variant"] = rule.promote ? "promote" : "stop";
    if (rule.method != "halving") out["bootstrap"] = rule.bootstrap;
    return out;
  }
  out["every"] = rule.every;
  if (rule.method == "median" || rule.method == "percentile") {
    out["startup"] = rule.startup;
    out["among"] = rule.among_all ? "all" : "completed";
  }
  if (rule.method == "median") out["window"] = rule.window;
  if (rule.method == "percentile") out["percentile"] = rule.percentile;
  if (rule.lower) out["lower"] = *rule.lower;
  if (rule.upper) out["upper"] = *rule.upper;
  if (rule.method == "patience") out["patience"] = rule.patience;
  return out;
}

// Jobs of one stage by task and by drop label, in their order of appearance.
ordered_json stage_json(const sweeps::Plan& plan, const sweeps::Stage& stage) {
  ordered_json tasks = ordered_json::object();
  ordered_json drops = ordered_json::object();
  for (sweeps::JobIndex i = stage.first; i < stage.first + stage.count; ++i) {
    const sweeps::Job& job = plan.jobs[i];
    if (!job.task.empty()) tasks[job.task] = tasks.value(job.task, 0) + 1;
    if (!job.drop.empty()) drops[job.drop] = drops.value(job.drop, 0) + 1;
  }
  ordered_json out = {{"name", stage.name},
                      {"kind", sweeps::name_of(stage.kind)},
                      {"jobs", stage.count},
                      {"tasks", tasks},
                      {"drops", drops}};
  if (stage.stop) out["stop"] = stop_json(*stage.stop);
  return out;
}

std::string counted(const ordered_json& counts) {
  std::vector<std::string> parts;
  for (const auto& [name, count] : counts.items()) parts.push_back(fmt::format("{} {}", name, count.get<int>()));
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::string plan_text(const sweeps::Plan& plan) {
  std::string out = fmt::format("{}: {} jobs, recipe {}, precision {}\n", plan.name, plan.jobs.size(), plan.recipe,
                                sweeps::name_of(plan.precision));
  TextTable table({"stage", "kind", ">jobs", "tasks", "drop", "stopping"});
  for (const sweeps::Stage& stage : plan.stages) {
    const ordered_json json = stage_json(plan, stage);
    const std::string stopping = stage.stop ? sweeps::describe(*stage.stop) : "";
    table.row({stage.name, sweeps::name_of(stage.kind), std::to_string(stage.count), counted(json["tasks"]),
               counted(json["drops"]), stopping});
  }
  out += table.text();
  for (const std::string& note : plan.notes) out += "note: " + note + "\n";
  return out;
}

ordered_json plan_json(const sweeps::Plan& plan) {
  ordered_json out = {{"name", plan.name},
                      {"jobs", plan.jobs.size()},
                      {"recipe", plan.recipe},
                      {"precision", sweeps::name_of(plan.precision)},
                      {"stages", ordered_json::array()},
                      {"notes", plan.notes}};
  for (const sweeps::Stage& stage : plan.stages) out["stages"].push_back(stage_json(plan, stage));
  ordered_json& list = out["list"] = ordered_json::array();
  for (const sweeps::Job& job : plan.jobs) {
    ordered_json entry = {
        {"job", job.id}, {"stage", plan.stages[job.stage].name}, {"task", job.task}, {"drop", job.drop}};
    if (!job.set.empty()) entry["set"] = job.set;
    if (job.keep > 0) entry["keep"] = job.keep;
    entry["seed"] = job.seed;
    if (!job.parameters.empty()) entry["parameters"] = job.parameters;
    if (job.search != sweeps::kNoSearch) entry["trial"] = job.trial;
    list.push_back(std::move(entry));
  }
  return out;
}

}  // namespace fathom::cli
