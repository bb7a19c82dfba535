// Where a stage's inputs come from: from, where, best, per, needs.
#include <algorithm>
#include <array>
#include <utility>

#include "sweeps/resolve/stages.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

constexpr std::array<const char*, 8> kTextColumns = {"stage", "kind",    "task",   "drop",
                                                     "set",   "members", "recipe", "precision"};
constexpr std::array<const char*, 5> kIntegerColumns = {"n", "lo", "hi", "kept", "seed"};

constexpr std::string_view kSweep = "sweep:";

// One name of `from`; the index of its stage, or nothing after reporting.
std::optional<std::size_t> find_stage(const Node& node, unsigned kinds, const std::vector<EarlierStage>& earlier,
                                      Report& report) {
  if (!node.is_scalar()) {
    report.error(node.mark, node.is_map() ? "from: only the needs of a fusion take adapters from folders"
                                          : "from: expected the name of a stage, found " + describe(node));
    return std::nullopt;
  }
  if (node.text.rfind(kSweep, 0) == 0) {
    report.error(node.mark, "from: only the needs of a fusion take models of another sweep");
    return std::nullopt;
  }
  std::vector<std::string> known;
  for (std::size_t i = 0; i < earlier.size(); ++i) {
    if (earlier[i].readable == 0) continue;  // made by another stage, not written
    if (earlier[i].name == node.text) {
      if (earlier[i].readable & kinds) return i;
      report.error(node.mark, "from: stage '" + node.text + "' is of kind " + name_of(earlier[i].kind) + "; expected " +
                                  kinds_text(kinds));
      return std::nullopt;
    }
    known.push_back(earlier[i].name);
  }
  report.error(node.mark, "from: no stage before this one is named '" + node.text + "'" + hint(node.text, known));
  return std::nullopt;
}

json parse_from(const Node* node, unsigned kinds, const std::vector<EarlierStage>& earlier, Report& report) {
  json out = json::array();
  if (!node) return out;
  const auto add = [&](const Node& one) {
    const auto index = find_stage(one, kinds, earlier, report);
    if (!index) return;
    if (std::find(out.begin(), out.end(), json(*index)) != out.end()) {
      report.error(one.mark, "from: stage '" + one.text + "' stands twice");
      return;
    }
    out.push_back(*index);
  };
  if (node->is_list()) {
    for (const Node& one : node->items) add(one);
    if (node->items.empty()) report.error(node->mark, "from: expected at least one stage");
  } else {
    add(*node);
  }
  return out;
}

// "sweep:NAME/STAGE", or null after reporting.
json parse_elsewhere(const Node& node, Report& report) {
  const std::string rest = node.text.substr(kSweep.size());
  const std::size_t slash = rest.find('/');
  const std::string sweep = rest.substr(0, slash), stage = slash == std::string::npos ? "" : rest.substr(slash + 1);
  if (is_name(sweep, true) && is_name(stage, false)) return {{"sweep", sweep}, {"stage", stage}};
  report.error(node.mark, "from: expected sweep:NAME/STAGE, found '" + node.text + "'");
  return nullptr;
}

// {TASK: folder, …} into what is known so far.
void parse_folders(const Node& node, const std::vector<Task>& tasks, json& folders, Report& report) {
  static constexpr Key kFolder = {.name = "from", .type = Type::path};
  if (node.items.empty()) report.error(node.mark, "from: expected {TASK: folder, …} of at least one folder");
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    const std::string& task = node.keys[i].text;
    if (!find_task(tasks, task, "from", node.keys[i].mark, report)) continue;
    if (folders.contains(task))
      report.error(node.keys[i].mark, "from: '" + task + "' has two folders; which is the member?");
    if (const auto path = typed(kFolder, node.items[i], report)) folders[task] = *path;
  }
}

// What `needs.from` may name beside stages, taken out of it; the rest stays for parse_from().
struct NeedsFrom {
  json elsewhere = json::array();
  json folders = json::object();
  Node stages;  // a list
};

NeedsFrom split_from(const Node& node, const std::vector<Task>& tasks, Report& report) {
  NeedsFrom out;
  out.stages = node;
  if (!node.is_list()) out.stages.items = {node};
  out.stages.type = Node::Type::list;
  if (node.is_list() && node.items.empty()) return out;
  const std::vector<Node> all = std::exchange(out.stages.items, {});
  for (const Node& one : all) {
    if (one.is_map()) {
      parse_folders(one, tasks, out.folders, report);
    } else if (one.is_scalar() && one.text.rfind(kSweep, 0) == 0) {
      json elsewhere = parse_elsewhere(one, report);
      if (std::find(out.elsewhere.begin(), out.elsewhere.end(), elsewhere) != out.elsewhere.end())
        report.error(one.mark, "from: '" + one.text + "' stands twice");
      out.elsewhere.push_back(std::move(elsewhere));
    } else {
      out.stages.items.push_back(one);
    }
  }
  return out;
}

// What is not known before the other sweep is there cannot be asked for.
void check_elsewhere(const Fields& fields, Report& report) {
  if (fields.value("seeds") == "all")
    report.error(fields.mark("seeds"),
                 "seeds: all makes a fusion for each seed of the members; how many another sweep has is not known "
                 "before it is there. Give the fusion seeds of its own, with match or best");
  if (fields.value("stopped") == true)
    report.error(fields.mark("stopped"), "stopped: of another sweep only jobs that Succeeded are taken");
}

// Tasks that conditions name: each at its place.
void check_tasks(const Node& conditions, const std::string& what, const std::vector<Task>& tasks, Report& report) {
  const Node* named = conditions.find("task");
  if (named && named->is_map()) named = named->find("ne");
  if (!named) return;
  for (const Node& one : named->is_list() ? named->items : std::vector<Node>{*named}) {
    if (one.is_scalar()) find_task(tasks, one.text, what, one.mark, report);
  }
}

// Columns of results.csv that only a job's result fills.
bool is_result_column(const std::string& name) {
  constexpr std::array<const char*, 14> kResultColumns = {"sweep",      "depth",   "split",  "metric", "value",
                                                          "primary",    "epoch",   "status", "device", "job",
                                                          "generation", "attempt", "cached", "sha256"};
  return std::find(kResultColumns.begin(), kResultColumns.end(), name) != kResultColumns.end();
}

json parse_where(const Node* node, const std::vector<Task>& tasks, Report& report) {
  if (!node) return json::object();
  const Node planned = without(*node, [&](const Node& key) {
    if (!is_result_column(key.text)) return false;
    report.error(key.mark,
                 "where: '" + key.text + "' is known only when a job has run; choose by what is planned, or with best");
    return true;
  });
  const auto where = parse_conditions(planned, "where", plan_column, plan_columns(), report);
  check_tasks(*node, "where", tasks, report);
  return where.value_or(json::object());
}

json parse_per(const Fields& fields, Report& report) {
  json per = json::array();
  const json& names = fields.value("per");
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Node* node = fields.node("per");
    const Mark at = node && node->is_list() ? node->items[i].mark : fields.mark("per");
    const auto column = plan_column(names[i].get<std::string>());
    if (column) {
      per.push_back(column->name);
    } else {
      report.error(at, "per: unknown column '" + names[i].get<std::string>() + "'" +
                           hint(names[i].get<std::string>(), plan_columns()));
    }
  }
  if (std::find(per.begin(), per.end(), json("task")) == per.end()) {
    report.error(fields.mark("per"), "per: scores of different tasks cannot be compared; add task");
  }
  return per;
}

}  // namespace

std::optional<Column> plan_column(const std::string& name) {
  Key key;
  for (const char* text : kTextColumns) {
    if (name != text) continue;
    key.name = text;
    key.type = Type::text;
    return Column{name, key};
  }
  for (const char* integer : kIntegerColumns) {
    if (name != integer) continue;
    key.name = integer;
    key.type = Type::integer;
    return Column{name, key};
  }
  if (name.rfind("param.", 0) != 0) return std::nullopt;
  const auto parameter = find_parameter(name.substr(6));
  if (!parameter) return std::nullopt;
  return Column{"param." + parameter->full, *parameter->key};
}

std::vector<std::string> plan_columns() {
  std::vector<std::string> out(kTextColumns.begin(), kTextColumns.end());
  out.insert(out.end(), kIntegerColumns.begin(), kIntegerColumns.end());
  for (const std::string& name : parameter_names()) out.push_back("param." + name);
  return out;
}

json parse_exclude(const Node* node, const std::vector<Task>& tasks, Report& report) {
  json out = json::array();
  if (!node) return out;
  if (!node->is_list()) {
    report.error(node->mark, "exclude: expected a list of conditions, found " + describe(*node));
    return out;
  }
  const auto column = [](const std::string& name) -> std::optional<Column> {
    if (name == "task" || name == "drop" || name == "set") return plan_column(name);
    return plan_column(name.rfind("param.", 0) == 0 ? name : "param." + name);
  };
  auto known = parameter_names();
  known.insert(known.end(), {"task", "drop", "set"});
  for (const Node& one : node->items) {
    check_tasks(one, "exclude", tasks, report);
    const Node rest = without(one, [&](const Node& key) {
      if (key.text != "seed") return false;
      report.error(key.mark, "exclude: a setting runs with all its seeds; list the ones that are wanted in `seeds`");
      return true;
    });
    const auto conditions = parse_conditions(rest, "exclude", column, known, report);
    if (conditions && conditions->empty() && one.items.empty())
      report.error(one.mark, "exclude: an empty condition would remove every point");
    if (conditions && !conditions->empty()) out.push_back(*conditions);
  }
  return out;
}

json parse_needs(const Fields& stage, const std::vector<EarlierStage>& earlier, const std::vector<Task>& tasks,
                 const json& root_seeds, Report& report) {
  const Fields fields(Section::needs, stage.node("needs"), report);
  json out = {{"from", json::array()}, {"where", parse_where(fields.node("where"), tasks, report)}};
  for (const char* key : {"per", "seeds", "stopped", "on_missing"}) out[key] = fields.value(key);
  if (fields.value("stat") != "mean") out["stat"] = fields.value("stat");
  if (const Node* from = fields.node("from")) {
    NeedsFrom found = split_from(*from, tasks, report);
    const bool outside = !found.elsewhere.empty() || !found.folders.empty();
    const bool empty = from->is_list() && from->items.empty();
    if (!found.stages.items.empty() || empty) out["from"] = parse_from(&found.stages, kAdapter, earlier, report);
    if (!found.elsewhere.empty()) check_elsewhere(fields, report);
    if (!found.elsewhere.empty()) out["elsewhere"] = std::move(found.elsewhere);
    if (!found.folders.empty()) out["folders"] = std::move(found.folders);
    // Seeds of members that this file does not make are not known: it is then the file's that fusions run with.
    if (outside) out["root_seeds"] = root_seeds;
  }
  const json& per = fields.value("per");
  if (std::find(per.begin(), per.end(), json("task")) == per.end()) {
    report.error(fields.mark("per"), "per: each member is the adapter of its task; add task");
  }
  return out;
}

json parse_source(const Fields& stage, unsigned kinds, const std::vector<EarlierStage>& earlier,
                  const std::vector<Task>& tasks, Report& report) {
  json out = {{"from", parse_from(stage.node("from"), kinds, earlier, report)},
              {"where", parse_where(stage.node("where"), tasks, report)},
              {"best", stage.value("best")},
              {"per", parse_per(stage, report)}};
  if (stage.given("per") && !stage.given("best"))
    report.error(stage.mark("per"), "per: it groups the models that `best` chooses among; give best");
  return out;
}

}  // namespace fathom::sweeps
