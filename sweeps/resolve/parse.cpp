#include <algorithm>
#include <set>

#include "sweeps/file/merge.hpp"
#include "sweeps/resolve/depths.hpp"
#include "sweeps/resolve/notify.hpp"
#include "sweeps/resolve/stages.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

// The parts of the root that are no part of any job.
json read_limits(const Node* node, Report& report) {
  const Fields fields(Section::limits, node, report);
  const auto seconds = [&](const char* key) { return fields.has(key) ? fields.value(key) : json(0); };
  json out = json::object();
  out["concurrency"] = fields.value("concurrency");
  out["wall_seconds"] = seconds("wall");
  out["job_wall_seconds"] = seconds("job_wall");
  out["failed"] = fields.value("failed");
  return out;
}

json read_checkpoint(const Node* node, Report& report) {
  const Fields fields(Section::checkpoint, node, report);
  const Fields keep(Section::keep, fields.node("keep"), report);
  return {{"every", fields.value("every")}, {"keep", {{"best", keep.value("best")}, {"latest", keep.value("latest")}}}};
}

json read_retry(const Node* node, Report& report) {
  const Fields fields(Section::retry, node, report);
  return {{"max", fields.value("max")}, {"not_on", fields.value("not_on")}};
}

// true, false, or {use, ttl}; a boolean stays one, as in files of before there was a ttl.
json read_cache(const Node* node, Report& report) {
  static constexpr Key kWhole = {.name = "cache", .type = Type::boolean};
  if (node == nullptr) return true;
  if (!node->is_map()) return typed(kWhole, *node, report).value_or(true);
  const Fields fields(Section::cache, node, report);
  return {{"use", fields.value("use")}, {"ttl_seconds", fields.has("ttl") ? fields.value("ttl") : json(0)}};
}

// {path}, or {config, init} of one without weights.
json read_model(const Fields& root, Report& report) {
  const Node* node = root.node("model");
  if (node && !node->is_map())
    report.error(node->mark,
                 "model: expected a map of keys, such as {path: models/roberta-base}, found " + describe(*node));
  if (!node || !node->is_map()) return {{"path", nullptr}};  // a missing one was reported
  const Fields model(Section::model, node, report);
  if (model.given("config")) {
    if (model.given("path"))
      report.error(model.mark("config"), "model: a folder has its own config.json; give path or config");
    if (!model.given("init"))
      report.error(model.mark("config"), "model: a configuration has no weights; add init: random, or give path");
    return {{"config", model.value("config")}, {"init", model.value("init")}};
  }
  if (!model.given("path"))
    report.error(model.mark("path"), "'model.path' is missing (" + std::string(find_key(Section::model, "path")->doc) +
                                         "), or 'model.config'");
  if (model.given("init"))
    report.error(model.mark("init"), "model: init belongs to config; the weights of path are those of its folder");
  return {{"path", model.value("path")}};
}

// What every job of the sweep shares.
json read_common(const Fields& root, Report& report) {
  const Fields objective(Section::objective, root.node("objective"), report);
  json out = json::object();
  out["model"] = read_model(root, report);
  out["recipe"] = root.value("recipe");
  out["precision"] = root.value("precision");
  json& compared = out["objective"];
  for (const char* key : {"metric", "goal", "depth"}) compared[key] = objective.value(key);
  return out;
}

struct Read {
  json resolved;
  std::vector<EarlierStage> stages;
};

Read read_sweep(const Node& node, Report& report) {
  const Fields root(Section::root, &node, report);
  std::vector<std::string> warnings;
  const auto tasks = parse_tasks(root.node("tasks"), report, warnings);
  read_search(root.node("search"), report);
  const Fields resources(Section::resources, root.node("resources"), report);
  const json& seeds = root.value("seeds");
  std::set<json> seen;
  for (const json& seed : seeds) {
    if (!seen.insert(seed).second) report.error(root.mark("seeds"), "seeds: " + seed.dump() + " stands twice");
  }
  Surroundings around;
  around.tasks = &tasks;
  // Stages with fewer tasks, seeds or parameters than the file means would be told off for what is not there.
  const bool misspelt = std::any_of(node.keys.begin(), node.keys.end(),
                                    [](const Node& key) { return !find_key(Section::root, key.text); });
  around.sound = !misspelt && (!root.given("seeds") || root.has("seeds")) && !tasks.empty() &&
                 tasks.size() == root.node("tasks")->items.size();
  const std::size_t told = report.told();
  around.train = Fields(Section::train, root.node("train"), report).settings();
  around.adapter = Fields(Section::adapter, root.node("adapter"), report).settings();
  around.parameters = parse_parameters(root.node("parameters"), report);
  around.parameters_mark = root.mark("parameters");
  around.search = root.node("search");
  around.zip = root.node("zip");
  around.exclude = root.node("exclude");
  around.seeds = seeds;
  around.sound = around.sound && report.told() == told;
  Stages stages = parse_stages(root.node("stages"), around, report);
  refuse_references(node, report);
  json task_settings = json::array();
  for (const Task& task : tasks) task_settings.push_back(task.settings);
  // Not by initializer lists: they copy what they are given, and this holds all stages.
  json resolved = json::object();
  resolved["version"] = 1;
  for (const char* key : {"name", "notes", "priority", "weight"}) resolved[key] = root.value(key);
  resolved["common"] = read_common(root, report);
  resolved["tasks"] = std::move(task_settings);
  resolved["stages"] = std::move(stages.resolved);
  resolved["limits"] = read_limits(root.node("limits"), report);
  resolved["retry"] = read_retry(root.node("retry"), report);
  resolved["checkpoint"] = read_checkpoint(root.node("checkpoint"), report);
  resolved["cache"] = read_cache(root.node("cache"), report);
  resolved["ranks"] = resources.value("ranks");
  resolved["warnings"] = warnings;
  if (root.given("notify")) resolved["notify"] = read_notify(*root.node("notify"), report);
  return {std::move(resolved), std::move(stages.marks)};
}

}  // namespace

ParseResult parse(const std::string& yaml, const ParseOptions& options) {
  ParseResult result;
  Report report;
  const auto node = load(yaml, options, report);
  if (node && report.clean()) {
    try {
      Read read = read_sweep(*node, report);
      const json& model = read.resolved.at("common").at("model");
      if (const std::uint32_t layers = options.layers ? options.layers(model) : 0; layers > 0)
        check_depths(*node, layers, report);
      result.plan = check_expansion(read.resolved, read.stages, options.with_plan, report);
      result.sweep.resolved = std::move(read.resolved);
    } catch (const json::exception& error) {
      // A mistake of this program, not of the file; still no reason to end the process that asked.
      report.error(node->mark, std::string("this file cannot be read by this version: ") + error.what());
    }
  }
  result.more = report.more();
  result.errors = report.take();
  if (!result.errors.empty()) {
    result.sweep.resolved = nullptr;
    result.plan.reset();
  }
  return result;
}

}  // namespace fathom::sweeps
