#include "sweeps/resolve/tasks.hpp"

#include <algorithm>

#include "common/part_names.hpp"
#include "sweeps/resolve/presets.hpp"
#include "sweeps/schema/fields.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

std::string below(const std::string& folder, const json& file) {
  return (folder.empty() || folder.back() == '/' ? folder : folder + "/") + file.get<std::string>();
}

// A folder made by `fathom data`, or a preset's.
void from_folder(json& task, const Fields& fields) {
  const auto folder = fields.value("path").get<std::string>();
  if (fields.has("preset")) task = preset_task(fields.value("preset").get<std::string>());
  task["train"] = below(folder, task.value("train", json("train.tsv")));
  task["eval"] = below(folder, task.value("eval", json("dev.tsv")));
}

void from_data(json& task, const Fields& fields, Report& report) {
  if (fields.has("preset")) {
    // Columns, labels and metric; the files are the user's and say their format by their ending.
    task = preset_task(fields.value("preset").get<std::string>());
    task.erase("format");
    task.erase("quoting");
  }
  const Node& data = *fields.node("data");
  if (data.is_map()) {
    const Fields files(Section::data, &data, report);
    task["train"] = files.value("train");
    task["eval"] = files.value("eval");
    if (fields.given("split")) report.error(fields.mark("split"), "split: there is an eval file; nothing is split");
    return;
  }
  Key path;
  path.name = "data";
  path.type = Type::path;
  if (const auto file = typed(path, data, report)) task["train"] = *file;
  task["eval"] = nullptr;
  task["split_seed"] = fields.value("split_seed");
  if (fields.has("split")) {
    task["split"] = fields.value("split");
  } else if (!fields.given("split")) {
    report.error(data.mark,
                 "data: one file needs `split`, the share of its rows that score (or write data: {train: …, eval: …})");
  }
}

// What a task of any kind may say about its columns.
void set_columns(json& task, const Fields& fields, Report& report) {
  for (const char* key : {"text", "label", "labels", "metric", "format"}) {
    if (fields.given(key) || !task.contains(key)) task[key] = fields.value(key);
  }
  if (fields.given("text")) task.erase("header");      // CoLA's preset without header is for its own columns
  if (task["format"].is_null()) task.erase("format");  // by the file's ending
  if (task["text"].is_array() && task["text"].size() > 2)
    report.error(fields.mark("text"), "text: one column, or two for pairs");
  if (task["labels"].is_array() && task["labels"].size() < 2)
    report.error(fields.mark("labels"), "labels: a task has two or more");
}

Task parse_task(const Node& name, const Node& node, Report& report) {
  Task task;
  task.name = name.text;
  task.mark = name.mark;
  const Fields fields(Section::task, &node, report);
  json& settings = task.settings;
  settings = json::object();
  if (fields.given("data") == fields.given("path")) {
    report.error(name.mark, "task '" + name.text + "' needs " +
                                (fields.given("data") ? "either `path` or `data`, not both"
                                                      : "`path` (a folder) or `data` (files)"));
  } else if (fields.given("path") && !fields.value("path").is_null()) {
    from_folder(settings, fields);
  } else if (fields.given("data")) {
    from_data(settings, fields, report);
  }
  if (fields.given("path") && fields.given("split")) {
    report.error(fields.mark("split"), "split: a folder has its eval file; nothing is split");
  }
  set_columns(settings, fields, report);
  settings["name"] = name.text;
  task.train = Fields(Section::train, fields.node("train"), report).settings();
  return task;
}

// AdapterHub's loader selects tensors by a name's beginning.
void warn_prefixes(const std::vector<Task>& tasks, std::vector<std::string>& notes) {
  for (const Task& a : tasks) {
    for (const Task& b : tasks) {
      if (a.name != b.name && b.name.rfind(a.name, 0) == 0) {
        notes.push_back("task '" + a.name + "' begins the name of task '" + b.name +
                        "': AdapterHub selects by prefix and may mix their fusions and heads up");
      }
    }
  }
}

}  // namespace

std::vector<Task> parse_tasks(const Node* node, Report& report, std::vector<std::string>& notes) {
  std::vector<Task> tasks;
  if (!node) return tasks;
  if (!node->is_map() || node->items.empty()) {
    report.error(node->mark, "tasks: expected a map NAME: {…} of at least one task, found " + describe(*node));
    return tasks;
  }
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    const Node& name = node->keys[i];
    if (!is_name(name.text, false) || name.text == "all") {
      report.error(name.mark,
                   "task '" + name.text +
                       "': a task's name becomes its adapter's: letters, digits, '-' and '_', at most 64, not 'all'");
    } else if (const Status usable = check_part_name("adapter", name.text); !usable) {
      report.error(name.mark, "task '" + name.text + "': " + usable.error().message + "; give the task another name");
    }
    if (node->items[i].type == Node::Type::null) {
      report.error(name.mark, "task '" + name.text + "' says nothing; it needs `path` or `data`");
      continue;
    }
    tasks.push_back(parse_task(name, node->items[i], report));
  }
  warn_prefixes(tasks, notes);
  return tasks;
}

const Task* find_task(const std::vector<Task>& tasks, const std::string& name, const std::string& what, const Mark& at,
                      Report& report) {
  std::vector<std::string> known;
  for (const Task& task : tasks) {
    if (task.name == name) return &task;
    known.push_back(task.name);
  }
  std::string near = hint(name, known);
  if (near.empty() && !known.empty() && known.size() <= 8) {
    for (const std::string& one : known) near += (near.empty() ? "; the tasks are " : ", ") + one;
  }
  report.error(at, what + ": no task is named '" + name + "'" + near);
  return nullptr;
}

}  // namespace fathom::sweeps
