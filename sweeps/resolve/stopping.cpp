// `stop` of a stage.
#include <set>

#include "sweeps/resolve/stages.hpp"
#include "sweeps/schema/stop_keys.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

bool named(const std::string& list, const std::string& method) {
  return ("|" + list + "|").find("|" + method + "|") != std::string::npos;
}

// "asha and hyperband"
std::string spoken(const char* methods) {
  const auto list = split_words(methods);
  std::string out;
  for (std::size_t i = 0; i < list.size(); ++i) out += (i == 0 ? "" : i + 1 == list.size() ? " and " : ", ") + list[i];
  return out;
}

void add_options(json& out, const Fields& fields, const std::string& method, Report& report) {
  for (const StopKey& rule : stop_keys()) {
    if (named(rule.methods, method)) {
      if (fields.has(rule.key)) out[rule.key] = fields.value(rule.key);
      if (named(rule.needed, method) && !fields.given(rule.key))
        report.error(fields.mark("method"), "method: " + method + " needs '" + rule.key + "'");
    } else if (fields.given(rule.key)) {
      report.error(fields.mark(rule.key),
                   std::string(rule.key) + ": it belongs to " + spoken(rule.methods) + ", not to method " + method);
    }
  }
  if (method == "asha" && fields.value("variant") == "promote") {
    for (const char* key : {"ties", "bootstrap"}) {
      if (fields.given(key))
        report.error(fields.mark(key), std::string(key) +
                                           ": it belongs to variant stop; promote orders equal values by arrival and "
                                           "waits for eta entries by itself");
    }
  }
  if (fields.has("rungs") && fields.given("min"))
    report.error(fields.mark("min"), "min: rungs are counted down from the last one; leave out min or rungs");
  if (method != "threshold") return;
  if (!fields.given("lower") && !fields.given("upper"))
    report.error(fields.mark("method"), "method: threshold needs 'lower', 'upper' or both");
  if (fields.has("lower") && fields.has("upper") && fields.value("lower") >= fields.value("upper"))
    report.error(fields.mark("upper"), "upper: it must be above lower");
}

// Rungs in optimizer steps: how many steps a training has is known only when a worker has seen its data, so a method
// whose rungs depend on the last one has to be told it.
void add_steps(json& out, const Fields& fields, const std::string& method, Report& report) {
  constexpr std::uint64_t kMostRungs = 10'000;
  out["unit"] = "step";
  out["max"] = fields.has("max") ? fields.value("max") : json(kNoLastStep);
  for (const char* key : {"min", "max"}) {
    const bool optional =
        std::string_view(key) == "max" ? method == "asha" && !fields.given("rungs") : fields.has("rungs");
    if (!fields.given(key) && !optional)
      report.error(fields.mark("unit"), "unit: step: give '" + std::string(key) +
                                            "' in steps; how many a training has is not known before it runs");
  }
  const auto min = fields.value("min").get<std::uint64_t>(), max = out["max"].get<std::uint64_t>();
  if (fields.has("max") && min > max) report.error(fields.mark("min"), "min: it is above max");
  if (!named("median|percentile|threshold|patience", method) || !fields.has("max")) return;
  if ((max - std::min(min, max)) / fields.value("every").get<std::uint64_t>() >= kMostRungs)
    report.error(fields.mark(fields.given("every") ? "every" : "max"),
                 "every: jobs would be measured more than " + std::to_string(kMostRungs) +
                     " times between min and max; give larger steps");
}

// What a parameter of a clone is multiplied by.
json factors_of(const Fields& fields, Report& report) {
  const Node* node = fields.node("factors");
  if (!node) return json::array({1.2, 0.8});
  Key key;
  key.name = "factors";
  key.type = Type::number;
  key.low = 0;
  key.high = 1000;
  key.open = true;
  json out = json::array();
  if (!node->is_list() || node->items.empty())
    report.error(node->mark, "factors: expected a list of numbers, found " + describe(*node));
  for (const Node& one : node->is_list() ? node->items : std::vector<Node>{}) {
    if (auto value = typed(key, one, report)) out.push_back(*std::move(value));
  }
  return out;
}

// A clone goes on with weights, optimizer and place in the data of another member: what they depend on is the same in
// all members.
constexpr const char* kExplored = "train.lr|train.weight_decay|train.clip";

void add_population(json& out, const Fields& fields, const std::vector<Parameter>& parameters, Report& report) {
  if (fields.value("unit") == "step")
    report.error(fields.mark("unit"),
                 "unit: method pbt counts epochs, at whose ends members leave the checkpoints that are cloned");
  if (fields.given("per"))
    report.error(fields.mark("per"), "per: a population of method pbt is of one task, drop, set and seed");
  if (parameters.empty())
    report.error(fields.mark("method"), "method: pbt needs 'parameters' that members of a population differ in");
  for (const Parameter& parameter : parameters) {
    if (named(kExplored, parameter.full) || parameter.full == "train.epochs") continue;
    report.error(parameter.mark, parameter.name +
                                     ": members of a population (stop.method pbt) clone each other while they train, "
                                     "and differ in lr, weight_decay and clip only; sample it in a stage of its own");
  }
  out["per"] = json::array({"task", "drop", "set", "seed"});
  for (const char* key : {"interval", "quantile", "resample", "seed"}) out[key] = fields.value(key);
  if (!fields.has("min")) out["min"] = fields.value("interval");
  out["factors"] = factors_of(fields, report);
}

}  // namespace

json parse_stop(const Fields& stage, const json& trains, const std::vector<Parameter>& parameters, std::size_t seeds,
                Report& report) {
  const Node* node = stage.node("stop");
  if (!node) return nullptr;
  const Fields fields(Section::stop, node, report);
  for (const Parameter& parameter : parameters) {
    if (parameter.full != "train.epochs") continue;
    report.error(parameter.mark,
                 "epochs: jobs of different length cannot be compared at rungs; sample it in a stage without stop");
  }
  std::set<std::uint64_t> epochs;
  for (const json& train : trains) epochs.insert(train.at("epochs").get<std::uint64_t>());
  const json& max = fields.value("max");
  const bool by_step = fields.value("unit") == "step";
  if (!by_step && fields.has("max") && epochs != std::set<std::uint64_t>{max.get<std::uint64_t>()}) {
    std::string counts;
    for (const std::uint64_t count : epochs) counts += (counts.empty() ? "" : ", ") + std::to_string(count);
    report.error(fields.mark("max"),
                 epochs.size() == 1 ? "max: it has to equal train.epochs (" + counts + "), over which the schedule runs"
                                    : "max: tasks train different numbers of epochs (" + counts +
                                          "), and each is judged up to its own; leave out max");
  }
  json per = json::array({"task", "drop", "set"});
  if (fields.has("per")) per = fields.value("per");
  // One seed: with or without it in the group is the same (rule 7).
  if (!fields.has("per") && seeds < 2) per.push_back("seed");
  json out = {{"method", fields.value("method")},
              {"min", fields.value("min")},
              {"per", per},
              {"max", epochs.size() == 1 ? *epochs.begin() : 0}};
  if (fields.has("method")) add_options(out, fields, fields.value("method"), report);
  if (out["method"] == "pbt") add_population(out, fields, parameters, report);
  if (by_step && fields.has("method") && out["method"] != "pbt") add_steps(out, fields, fields.value("method"), report);
  return out;
}

}  // namespace fathom::sweeps
