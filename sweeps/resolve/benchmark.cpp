// The keys of a benchmark stage: what is measured, at which shapes, on which devices, and against what.
#include <algorithm>

#include "sweeps/resolve/stages.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

bool holds(const json& list, const char* word) { return std::find(list.begin(), list.end(), json(word)) != list.end(); }

// A list that is an axis of the jobs.
json axis(const Fields& fields, const char* key, const std::string& what, Report& report) {
  check_unique(fields.value(key), fields.mark(key), what + key, report);
  return fields.value(key);
}

// Depths as an axis of the jobs; of `all` how many there are is not known, so they are measured by one.
json depths_axis(const Fields& fields, const std::string& what, Report& report) {
  static constexpr Key kDepths = {.name = "depths", .type = Type::integers, .low = 0, .high = 1000};
  const Node* node = fields.node("depths");
  if (!node) return fields.value("depths");
  if (node->is_scalar() && node->text == "all") return json::array({"all"});
  const auto depths = typed(kDepths, *node, report);
  if (!depths) return json::array();
  check_unique(*depths, node->mark, what + "depths", report);
  return *depths;
}

json parse_adapter(const Node& node, const json& adapter, Report& report) {
  const Fields fields(Section::subject_adapter, &node, report);
  json adapters = json::array();
  if (!fields.has("config")) adapters.push_back(adapter);
  for (const json& config :
       fields.has("config") ? axis(fields, "config", "subjects.adapter.", report) : json::array()) {
    adapters.push_back(adapter);
    adapters.back()["config"] = config;
  }
  return {{"subject", "adapter"}, {"adapters", adapters}, {"depths", depths_axis(fields, "subjects.adapter.", report)}};
}

json parse_members(Section section, const char* subject, const Node& node, Report& report) {
  const Fields fields(section, &node, report);
  const std::string what = std::string("subjects.") + subject + ".";
  json members = axis(fields, "members", what, report);
  if (members.is_null()) members = json::array();  // reported
  return {{"subject", subject}, {"members", members}, {"depths", depths_axis(fields, what, report)}};
}

json parse_subjects(const Fields& stage, const json& adapter, Report& report) {
  json out = json::array();
  const Node* node = stage.node("subjects");
  if (node == nullptr) return out;
  const std::size_t before = report.told();
  const Fields fields(Section::subjects, node, report);
  if (const Node* whole = fields.node("finetune")) {
    if (!whole->is_map() || !whole->items.empty())
      report.error(whole->mark, "subjects.finetune: expected {}: it has no keys, found " + describe(*whole));
    out.push_back({{"subject", "finetune"}});
  }
  if (const Node* one = fields.node("adapter")) out.push_back(parse_adapter(*one, adapter, report));
  if (const Node* fusion = fields.node("fusion"))
    out.push_back(parse_members(Section::subject_fusion, "fusion", *fusion, report));
  if (const Node* parallel = fields.node("parallel"))
    out.push_back(parse_members(Section::subject_parallel, "parallel", *parallel, report));
  if (out.empty() && report.told() == before)
    report.error(node->mark, "subjects: expected at least one of finetune, adapter, fusion, parallel");
  return out;
}

// Whose adapters are measured; null: weights are drawn.
json parse_trained(const Fields& stage, const std::vector<EarlierStage>& earlier, const std::vector<Task>& tasks,
                   Report& report) {
  const bool trained = stage.value("members_init") == "trained";
  for (const char* key : {"from", "where"}) {
    if (!trained && stage.given(key))
      report.error(stage.mark(key), std::string(key) + ": weights are drawn; add members_init: trained to measure " +
                                        "adapters of a stage");
  }
  if (!trained) return nullptr;
  if (!stage.given("from")) {
    report.error(stage.mark("members_init"), "members_init: trained measures adapters of a stage; add from: STAGE");
    return nullptr;
  }
  const json source = parse_source(stage, kAdapter, earlier, tasks, report);
  return {{"from", source.at("from")}, {"where", source.at("where")}};
}

}  // namespace

json parse_benchmark(const Fields& stage, const json& adapter, const std::vector<EarlierStage>& earlier,
                     const std::vector<Task>& tasks, Report& report) {
  const Fields shape(Section::shape, stage.node("shape"), report);
  json out = {{"adapter", adapter},
              {"subjects", parse_subjects(stage, adapter, report)},
              {"batch", axis(shape, "batch", "shape.", report)},
              {"length", axis(shape, "length", "shape.", report)},
              {"measure", axis(stage, "measure", "", report)},
              {"device", axis(stage, "device", "", report)},
              {"baseline", stage.has("baseline") ? axis(stage, "baseline", "", report) : json::array()}};
  for (const char* key : {"warmup", "steps", "repeat"}) out[key] = stage.value(key);
  if (json source = parse_trained(stage, earlier, tasks, report); source.is_object()) out["source"] = std::move(source);
  const bool parallel = std::any_of(out["subjects"].begin(), out["subjects"].end(),
                                    [](const json& one) { return one.at("subject") == "parallel"; });
  if (parallel && !holds(out["measure"], "infer"))
    report.error(stage.mark("measure"), "measure: subjects.parallel is measured by inference only; add infer");
  if (!parallel && holds(out["baseline"], "separate"))
    report.error(stage.mark("baseline"),
                 "baseline: separate is a pass for each task of subjects.parallel, which is not there");
  return out;
}

}  // namespace fathom::sweeps
