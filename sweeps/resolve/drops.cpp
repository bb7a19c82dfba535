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
    } else if (!find_task(tasks, name.text, what, name.mark, report)) {
      continue;
    } else if (std::find(out.begin(), out.end(), json(name.text)) != out.end()) {
      report.error(name.mark, what + ": task '" + name.text + "' stands twice");
    } else {
      out.push_back(name.text);
    }
  }
  if (out.size() < node.items.size()) return std::nullopt;
  return out;
}

bool holds(const json& list, const json& value) { return std::find(list.begin(), list.end(), value) != list.end(); }

bool is_set_word(const std::string& text) { return text == "all" || text == "leave_one_out"; }

// A set with the tasks it is trained for unless `targets` says otherwise.
struct NamedSet {
  json members;
  std::optional<json> targets;
};

json names_of(const std::vector<Task>& tasks) {
  json out = json::array();
  for (const Task& task : tasks) out.push_back(task.name);
  return out;
}

// Every task but one, for that one: what can the others' adapters do for it?
std::vector<NamedSet> leave_one_out(const Node& node, const std::vector<Task>& tasks, Report& report) {
  if (tasks.size() < 2) report.error(node.mark, "sets: leave_one_out needs two tasks or more");
  std::vector<NamedSet> out;
  for (std::size_t i = 0; i < tasks.size() && tasks.size() > 1; ++i) {
    NamedSet set{names_of(tasks), json::array({tasks[i].name})};
    set.members.erase(i);
    out.push_back(std::move(set));
  }
  return out;
}

Key counted(const char* name, double low, double high) {
  Key key;
  key.name = name;
  key.type = Type::integer;
  key.low = low;
  key.high = high;
  return key;
}

// All sets of k tasks, members and sets in file order.
std::vector<NamedSet> subsets(const Node& node, const std::vector<Task>& tasks, Report& report) {
  constexpr std::size_t kMost = 10'000;
  const Node* count = node.find("subsets");
  std::vector<NamedSet> out;
  if (!count || node.items.size() != 1) {
    report.error(node.mark, "sets: expected {subsets: k} alone, found a map" +
                                (node.keys.empty() ? "" : hint(node.keys.front().text, {"subsets", "greedy"})));
    return out;
  }
  const auto k = typed(counted("subsets", 1, static_cast<double>(tasks.size())), *count, report);
  if (!k) return out;
  std::vector<std::size_t> chosen(k->get<std::size_t>());
  for (std::size_t i = 0; i < chosen.size(); ++i) chosen[i] = i;
  while (out.size() <= kMost) {
    json members = json::array();
    for (const std::size_t i : chosen) members.push_back(tasks[i].name);
    out.push_back({members, members});
    // The next combination: the last place that can still move on does.
    std::size_t place = chosen.size();
    while (place > 0 && chosen[place - 1] == tasks.size() - chosen.size() + place - 1) --place;
    if (place == 0) return out;
    ++chosen[place - 1];
    for (std::size_t i = place; i < chosen.size(); ++i) chosen[i] = chosen[i - 1] + 1;
  }
  report.error(count->mark, "subsets: more than 10000 sets");
  return {};
}

// Chosen while the sweep runs, for each target by itself: {"greedy": k, "budget": epochs, "pool": [task, …]}.
std::vector<NamedSet> greedy(const Node& node, const std::vector<Task>& tasks, Report& report) {
  const std::vector<std::string> known = {"greedy", "budget", "among"};
  bool fine = true;
  for (const Node& key : node.keys) {
    if (std::find(known.begin(), known.end(), key.text) != known.end()) continue;
    report.error(key.mark, "sets: expected {greedy: k, budget: epochs, among: tasks}, found '" + key.text + "'" +
                               hint(key.text, known));
    fine = false;
  }
  const auto k = typed(counted("greedy", 2, static_cast<double>(tasks.size())), *node.find("greedy"), report);
  json budget = 1;
  if (const Node* given = node.find("budget")) {
    const auto epochs = typed(counted("budget", 1, 100'000), *given, report);
    if (epochs) budget = *epochs;
    fine = fine && epochs;
  }
  std::optional<json> pool = names_of(tasks);
  if (const Node* among = node.find("among")) pool = parse_set(*among, tasks, "among", report);
  if (!fine || !k || !pool) return {};
  return {{{{"greedy", *k}, {"budget", budget}, {"pool", *pool}}, *pool}};
}

// Adapters that a set for `target` is chosen from: the target's own is always there.
std::size_t choices_for(const json& set, const json& target) {
  return set.at("pool").size() + (holds(set.at("pool"), target) ? 0 : 1);
}

std::vector<NamedSet> sets_of(const Node& node, const std::vector<Task>& tasks, Report& report) {
  if (node.is_map() && node.find("greedy")) return greedy(node, tasks, report);
  if (node.is_map()) return subsets(node, tasks, report);
  if (node.is_scalar() && node.text == "leave_one_out") return leave_one_out(node, tasks, report);
  const auto set = parse_set(node, tasks, "sets", report);
  if (!set) return {};
  return {{*set, *set}};
}

}  // namespace

json parse_drops(const Node* node, Report& report) {
  if (!node) return json::array({standard()});
  const std::size_t before = report.told();
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
  } else if (out.empty() && report.told() == before) {
    report.error(node->mark, "drop: expected one of standard: true, specialized: […], robust: lo..hi");
  }
  return out;
}

json parse_sets(const Fields& stage, const std::vector<Task>& tasks, Report& report) {
  json sets = json::array();
  json targets = json::array();
  const Node* node = stage.node("sets");
  const Node* asked = stage.node("targets");
  const auto named = asked ? parse_set(*asked, tasks, "targets", report) : std::nullopt;
  if (!node) return {{"sets", sets}, {"targets", targets}};
  const auto check_choices = [&](const json& set, const json& target, const Mark& at) {
    const std::size_t choices = choices_for(set, target);
    if (set.at("greedy") > choices) {
      report.error(at, "greedy: " + set.at("greedy").dump() + " adapters are more than the " + std::to_string(choices) +
                           " that a set for '" + target.get<std::string>() + "' is chosen from");
    }
  };
  const auto add = [&](const NamedSet& one, const Mark& at) {
    if (holds(sets, one.members)) {
      report.error(at, "sets: this set stands twice");
      return;
    }
    const auto& target = asked ? named : one.targets;
    if (!target) return;
    for (const json& name : *target) {
      if (one.members.is_object()) {
        check_choices(one.members, name, at);
        continue;
      }
      if (stage.value("head") == "member" && !holds(one.members, name)) {
        report.error(asked ? asked->mark : at,
                     "targets: head: member needs each target in the set; '" + name.get<std::string>() + "' is not");
      }
    }
    sets.push_back(one.members);
    targets.push_back(*target);
  };
  const auto add_all = [&](const Node& one) {
    for (const NamedSet& set : sets_of(one, tasks, report)) add(set, one.mark);
  };
  if (node->is_list() && !node->items.empty()) {
    for (const Node& one : node->items) add_all(one);
  } else if (node->is_map() || (node->is_scalar() && is_set_word(node->text))) {
    add_all(*node);
  } else {
    report.error(node->mark,
                 "sets: expected a list of sets, each a list of tasks, all, leave_one_out, "
                 "{subsets: k} or {greedy: k}, found " +
                     describe(*node) + (node->is_scalar() ? hint(node->text, {"all", "leave_one_out"}) : ""));
  }
  return {{"sets", sets}, {"targets", targets}};
}

}  // namespace fathom::sweeps
