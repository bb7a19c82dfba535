// `drop`, `stop` and `sets` of a stage.
#include <algorithm>
#include <set>

#include "sweeps/resolve/stages.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

json standard() { return {{"kind", "standard"}, {"n", 0}}; }

// `lo..hi` or `[lo, hi]`; `true` is every layer of the model, whose number is not known here: hi stays symbolic (null).
std::optional<json> robust_range(const Node& node, Report& report) {
  const auto drop = [](const json& low, const json& high) {
    return json{{"kind", "robust"}, {"lo", low}, {"hi", high}};
  };
  if (node.is_scalar() && !node.quoted && node.text == "true") return drop(0, nullptr);
  std::optional<std::pair<std::int64_t, std::int64_t>> range;
  if (node.is_scalar() && !node.quoted) range = parse_range(node.text);
  if (node.is_list() && node.items.size() == 2) {
    const auto low = parse_number(node.items[0].text);
    const auto high = parse_number(node.items[1].text);
    const auto whole = [](const auto& value) {
      return value && *value == static_cast<double>(static_cast<int>(*value));
    };
    if (low && high && std::abs(*low) < 1e6 && std::abs(*high) < 1e6 && whole(low) && whole(high)) {
      range = {static_cast<std::int64_t>(*low), static_cast<std::int64_t>(*high)};
    }
  }
  if (range && range->first >= 0 && range->first <= range->second && range->second <= 1000)
    return drop(range->first, range->second);
  report.error(node.mark,
               "robust: expected true, or one range lo..hi or [lo, hi] with 0 <= lo <= hi, found " + describe(node));
  return std::nullopt;
}

// A set of `sets`: its members, or nothing after reporting.
std::optional<json> parse_set(const Node& node, const std::vector<Task>& tasks, const std::string& what,
                              Report& report) {
  json out = json::array();
  if (node.is_scalar() && node.text == "all") {
    for (const Task& task : tasks) out.push_back(task.name);
    return out;
  }
  if (!node.is_list() || node.items.empty()) {
    report.error(node.mark, what + ": expected a list of tasks or all, found " + describe(node));
    return std::nullopt;
  }
  for (const Node& name : node.items) {
    if (!name.is_scalar()) {
      report.error(name.mark, what + ": expected a task, found " + describe(name));
      return std::nullopt;
    }
    if (!find_task(tasks, name.text, what, name.mark, report)) return std::nullopt;
    if (std::find(out.begin(), out.end(), json(name.text)) != out.end()) {
      report.error(name.mark, what + ": task '" + name.text + "' stands twice");
      return std::nullopt;
    }
    out.push_back(name.text);
  }
  return out;
}

bool holds(const json& list, const json& value) { return std::find(list.begin(), list.end(), value) != list.end(); }

}  // namespace

json parse_drops(const Node* node, Report& report) {
  if (!node) return json::array({standard()});
  const std::size_t before = report.count();
  const Fields fields(Section::drop, node, report);
  std::set<std::uint64_t> depths;
  if (fields.value("standard") == true) depths.insert(0);
  if (fields.has("specialized")) {
    for (const json& n : fields.value("specialized")) depths.insert(n.get<std::uint64_t>());
  }
  json out = json::array();
  for (const std::uint64_t n : depths) {
    out.push_back(n == 0 ? standard() : json{{"kind", "specialized"}, {"n", n}});
  }
  if (const Node* robust = fields.node("robust")) {
    if (auto range = robust_range(*robust, report)) out.push_back(*std::move(range));
  } else if (out.empty() && report.count() == before) {
    report.error(node->mark, "drop: expected one of standard: true, specialized: […], robust: lo..hi");
  }
  return out;
}

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
  if (fields.has("max") && epochs != std::set<std::uint64_t>{max.get<std::uint64_t>()}) {
    report.error(fields.mark("max"), "max: it has to equal train.epochs (" + std::to_string(*epochs.rbegin()) +
                                         "), over which the schedule runs");
  }
  json per = json::array({"task", "drop", "set"});
  if (fields.has("per")) per = fields.value("per");
  // One seed: with or without it in the group is the same (rule 7).
  if (!fields.has("per") && seeds < 2) per.push_back("seed");
  return {{"method", fields.value("method")},
          {"eta", fields.value("eta")},
          {"min", fields.value("min")},
          {"per", per},
          {"max", epochs.size() == 1 ? *epochs.begin() : 0},
          {"ties", fields.value("ties")}};
}

json parse_sets(const Fields& stage, const std::vector<Task>& tasks, Report& report) {
  json sets = json::array();
  json targets = json::array();
  const Node* node = stage.node("sets");
  if (!node) return {{"sets", sets}, {"targets", targets}};
  const Node* asked = stage.node("targets");
  const auto add = [&](const Node& one) {
    const auto set = parse_set(one, tasks, "sets", report);
    if (!set) return;
    if (holds(sets, *set)) {
      report.error(one.mark, "sets: this set stands twice");
      return;
    }
    const auto target = asked ? parse_set(*asked, tasks, "targets", report) : set;
    if (!target) return;
    for (const json& name : *target) {
      if (stage.value("head") == "member" && !holds(*set, name)) {
        report.error(asked->mark,
                     "targets: head: member needs each target in the set; '" + name.get<std::string>() + "' is not");
      }
    }
    sets.push_back(*set);
    targets.push_back(*target);
  };
  if (node->is_list() && !node->items.empty()) {
    for (const Node& one : node->items) add(one);
  } else if (node->is_scalar() && node->text == "all") {
    add(*node);
  } else {
    report.error(node->mark, "sets: expected a list of sets, each a list of tasks or all, found " + describe(*node));
  }
  return {{"sets", sets}, {"targets", targets}};
}

}  // namespace fathom::sweeps
