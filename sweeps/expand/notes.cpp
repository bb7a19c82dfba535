// Warnings about what is allowed and hardly meant. Thread: as Builder.
#include <algorithm>
#include <map>
#include <set>

#include "sweeps/expand/builder.hpp"
#include "sweeps/search/rungs.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

struct Group {
  std::set<std::uint32_t> settings;
  std::uint32_t epochs = 0;  // of its longest job
};

std::map<std::string, Group> groups_of(const Builder& builder) {
  std::map<std::string, Group> out;
  for (const Model& model : builder.models(builder.stage_index())) {
    const Job& job = builder.job(model.job);
    Group& group = out[job.group];
    group.settings.insert(model.setting);
    group.epochs = std::max(group.epochs, job.epochs);
  }
  return out;
}

// The epoch or step at which the rule may stop a setting for the first time.
std::uint64_t first_verdict(const StopRule& rule) {
  if (has_eta(rule)) {
    const auto rungs = rungs_of(rule);
    if (rungs.empty()) return rule.min;
    return rungs.size() == 1 ? std::max(rungs.front(), rule.min) : rungs.front();
  }
  // Without a better value since the first; of steps only those count that are measured.
  const std::uint64_t every = std::max(rule.every, 1U);
  std::uint64_t waits = rule.min;
  if (rule.method == "patience") waits = rule.by_step ? rule.min + rule.patience * every : rule.patience + 1ULL;
  if (waits <= rule.min) return rule.min;
  return rule.min + (waits - rule.min + every - 1) / every * every;
}

bool compares(const StopRule& rule) { return rule.method == "median" || rule.method == "percentile"; }

// Jobs that end before the first verdict.
void note_idle(Builder& builder, const Stage& stage, const std::map<std::string, Group>& groups) {
  std::set<std::uint64_t> ends;
  std::uint64_t first = 0;
  for (const auto& [name, group] : groups) {
    StopRule rule = *stage.stop;
    if (rule.max == 0) rule.max = group.epochs;
    if (first_verdict(rule) < rule.max) continue;
    ends.insert(rule.max);
    first = first_verdict(rule);
  }
  const std::string unit = stage.stop->by_step ? "step" : "epoch";
  for (const std::uint64_t end : ends) {
    builder.note("stage '" + stage.name + "': nothing is ever " +
                 (stage.stop->method == "pbt" ? "cloned" : "stopped early") + ": jobs end at " + unit + " " +
                 std::to_string(end) + ", and the first verdict would be at " + unit + " " + std::to_string(first));
  }
}

bool is_error(const std::string& metric) { return metric == "mse"; }

// The goal is that of all tasks, whatever their metrics.
void note_goal(Builder& builder) {
  const json& objective = builder.sweep.at("common").at("objective");
  const bool minimize = objective.at("goal") == "minimize";
  std::set<std::string> wrong;
  const auto look = [&](const json& metric) {
    const std::string name = metric.is_string() ? metric.get<std::string>() : "primary";
    if (name != "primary" && is_error(name) != minimize) wrong.insert(name);
  };
  look(objective.at("metric"));
  for (const json& task : builder.sweep.at("tasks")) {
    if (objective.at("metric") == "primary") look(task.value("metric", json()));
  }
  for (const std::string& metric : wrong) {
    builder.note("objective: " + metric + " is better where it is " + (minimize ? "larger" : "smaller") +
                 ", and the goal is to " + (minimize ? "minimize" : "maximize") +
                 ": the worst settings win; say goal: " + (minimize ? "maximize" : "minimize"));
  }
}

}  // namespace

void note_stopping(Builder& builder, const Stage& stage) {
  const StopRule& rule = *stage.stop;
  const auto note = [&](const std::string& text) { builder.note("stage '" + stage.name + "': " + text); };
  const auto groups = groups_of(builder);
  if (groups.empty()) return;
  std::size_t least = kMaxJobs;
  for (const auto& [name, group] : groups) least = std::min(least, group.settings.size());
  if (rule.method == "pbt" && least < 2) note("a population of one member clones nothing");
  if (has_eta(rule) && least < rule.eta)
    note("stopping compares as few as " + std::to_string(least) +
         " settings with each other, fewer than eta = " + std::to_string(rule.eta));
  if (compares(rule) && least - 1 < rule.startup)
    note("stopping waits for startup = " + std::to_string(rule.startup) +
         " settings to compare with, and some groups have " + std::to_string(least - 1) +
         " beside the one that is judged: nothing is stopped there");
  note_idle(builder, stage, groups);
  const json& per = builder.stage().at("stop").at("per");
  if (std::find(per.begin(), per.end(), json("task")) == per.end() && builder.sweep.at("tasks").size() > 1)
    note("stop.per has no task: scores of different tasks are compared with each other");
}

void note_traps(Builder& builder) {
  note_goal(builder);
  for (const std::string& condition : builder.excludes().idle())
    builder.note("exclude: " + condition + " removes nothing");
  if (builder.plan().precision != Precision::tf32) return;
  for (const json& stage : builder.sweep.at("stages")) {
    const json devices = stage.value(json::json_pointer("/benchmark/device"), json::array());
    if (std::find(devices.begin(), devices.end(), json("cpu")) != devices.end())
      builder.note("stage '" + stage.at("name").get<std::string>() +
                   "': no CPU has precision tf32, so its jobs on device cpu never run");
  }
}

}  // namespace fathom::sweeps
