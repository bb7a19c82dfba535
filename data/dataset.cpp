#include "data/dataset.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "data/labels.hpp"
#include "data/links.hpp"
#include "data/published.hpp"
#include "data/split.hpp"
#include "data/table.hpp"

namespace fathom::data {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// A task's JSON, checked.
struct TaskFiles {
  std::string train;
  std::optional<std::string> eval;
  TableOptions table;
  std::vector<Column> text;
  Column label;
  std::optional<std::vector<std::string>> labels;
  bool regression = false;
  const Published* published = nullptr;  // of the task's preset
  double split = 0.1;
  std::uint64_t split_seed = 0;
  bool labelled = true;  // every row has a label
};

Error bad(const std::string& message) { return {Errc::invalid_argument, "task: " + message}; }

Result<Column> column_of(const json& value) {
  if (value.is_string() && !value.get<std::string>().empty()) return Column{value.get<std::string>(), 0};
  const bool number = value.is_number_integer() && value.get<std::int64_t>() >= 1 && value.get<std::int64_t>() <= 4096;
  if (number) return Column{"", value.get<std::uint32_t>()};
  return bad("a column is a name, or a number from 1");
}

Result<std::vector<Column>> columns_of(const json& value) {
  const json list = value.is_array() ? value : json::array({value});
  if (list.empty() || list.size() > 2) return bad("text names one column or two");
  std::vector<Column> out;
  for (const json& item : list) {
    FATHOM_ASSIGN(Column column, column_of(item));
    out.push_back(std::move(column));
  }
  return out;
}

bool scores_numbers(const json& task) {
  const json metric = task.value("metric", json());
  if (!metric.is_string()) return false;
  std::string name = metric.get<std::string>();
  if (name.starts_with("eval/")) name.erase(0, 5);
  return name == "spearman" || name == "pearson" || name == "mse";
}

const Published* published_of(const json& task) {
  const json preset = task.is_object() ? task.value("preset", json()) : json();
  return preset.is_string() ? published(preset.get<std::string>()) : nullptr;
}

Status read_options(const json& task, TaskFiles& files) {
  const bool numbers = std::all_of(files.text.begin(), files.text.end(), [](const Column& c) { return c.number > 0; });
  files.table.header = task.value("header", json(!(numbers && files.label.number > 0))) == json(true);
  if (const json format = task.value("format", json()); format.is_string()) {
    files.table.format = format_named(format.get<std::string>());
    if (!files.table.format) return bad("format is csv, tsv or jsonl");
  }
  if (const json labels = task.value("labels", json()); labels.is_array()) {
    files.labels.emplace();
    for (const json& name : labels) {
      if (!name.is_string()) return bad("labels are names");
      files.labels->push_back(name.get<std::string>());
    }
  }
  files.regression = scores_numbers(task);
  files.published = published_of(task);
  files.table.skip_malformed = files.published != nullptr && files.published->skip_malformed;
  if (const json split = task.value("split", json()); split.is_number()) files.split = split.get<double>();
  if (const json seed = task.value("split_seed", json()); seed.is_number_unsigned()) {
    files.split_seed = seed.get<std::uint64_t>();
  }
  return success();
}

Result<TaskFiles> read_task(const json& task) {
  if (!task.is_object() || !task.value("train", json()).is_string()) return bad("expected train: a file's path");
  TaskFiles files;
  files.train = task["train"].get<std::string>();
  if (const json eval = task.value("eval", json()); eval.is_string()) files.eval = eval.get<std::string>();
  FATHOM_ASSIGN(files.text, columns_of(task.value("text", json::array({"text"}))));
  FATHOM_ASSIGN(files.label, column_of(task.value("label", json("label"))));
  FATHOM_TRY(read_options(task, files));
  return files;
}

// A file with the columns of the task found in it.
struct OpenTable {
  Table table;
  std::vector<std::size_t> text;
  std::optional<std::size_t> label;
};

Result<OpenTable> at_columns(Table table, const std::vector<Column>& text, const Column& label, bool labelled) {
  OpenTable out{std::move(table), {}, {}};
  for (const Column& column : text) {
    FATHOM_ASSIGN(const std::size_t index, out.table.find(column));
    out.text.push_back(index);
  }
  auto found = out.table.find(label);
  if (!found && labelled) return found.error();
  if (found) out.label = *found;
  return out;
}

bool has_columns(const Table& table, const std::vector<Column>& text, const Column& label, bool labelled) {
  return (!labelled || table.find(label)) &&
         std::all_of(text.begin(), text.end(), [&](const Column& c) { return table.find(c).ok(); });
}

// The task's own columns; where a preset's file does not have them, those of its exported copies.
Result<OpenTable> open(const fs::path& path, const TaskFiles& files) {
  if (files.published != nullptr) {
    TableOptions named = files.table;
    named.header = true;
    FATHOM_ASSIGN(Table table, Table::open(path, named));
    const bool own = files.table.header && has_columns(table, files.text, files.label, files.labelled);
    if (!own && has_columns(table, files.published->text, files.published->label, files.labelled)) {
      return at_columns(std::move(table), files.published->text, files.published->label, files.labelled);
    }
    if (files.table.header) return at_columns(std::move(table), files.text, files.label, files.labelled);
  }
  FATHOM_ASSIGN(Table table, Table::open(path, files.table));
  return at_columns(std::move(table), files.text, files.label, files.labelled);
}

Result<Labels> names_in(const fs::path& train, const TaskFiles& files) {
  FATHOM_ASSIGN(OpenTable file, open(train, files));
  std::vector<std::string> seen;
  Row row;
  while (true) {
    FATHOM_ASSIGN(const bool more, file.table.next(row));
    if (!more) break;
    seen.push_back(row.fields[*file.label]);
    if (seen.size() >= 100'000) seen = labels_of(std::move(seen)).names;
  }
  return labels_of(std::move(seen));
}

Result<Labels> find_labels(const fs::path& root, const TaskFiles& files) {
  if (files.regression) return Labels{{}, true};
  if (files.labels) return Labels{*files.labels, false};
  FATHOM_ASSIGN(const fs::path train, below_root(root, files.train));
  auto beside = read_labels(train.parent_path() / "labels.json");
  if (beside || beside.error().code != Errc::not_found) return beside;
  return names_in(train, files);
}

// The id of a label value: of the name itself, else of another word for the same class.
std::optional<std::int32_t> id_of(const std::string& text, const Labels& labels, const Published* published) {
  if (const auto id = labels.id(text); id || published == nullptr) return id;
  for (const auto& words : published->synonyms) {
    if (std::find(words.begin(), words.end(), text) == words.end()) continue;
    for (const std::string& word : words) {
      if (const auto id = labels.id(word)) return id;
    }
  }
  return std::nullopt;
}

Status set_label(Example& example, const std::string& text, const Labels& labels, const OpenTable& file,
                 const Published* published, std::uint64_t line) {
  const Table& table = file.table;
  if (labels.regression) {
    const auto value = number_of(text);
    if (!value) return table.error_at(line, fmt::format("the label \"{}\" is no number", text));
    example.value = *value;
    return success();
  }
  const auto id = id_of(text, labels, published);
  if (!id)
    return table.error_at(line,
                          fmt::format("unknown label \"{}\"; the task's labels are {}", text, listed(labels.names)));
  example.label = *id;
  return success();
}

// Published test files say that there is no label by a column that is missing, empty or -1.
bool has_label(const Row& row, const OpenTable& file, const TaskFiles& files) {
  if (files.labelled) return true;
  if (!file.label) return false;
  const std::string& text = row.fields[*file.label];
  return !text.empty() && text != "-1" && text != "-1.0";
}

Result<Dataset> read_examples(const fs::path& path, const TaskFiles& files, const Labels& labels) {
  FATHOM_ASSIGN(OpenTable file, open(path, files));
  Dataset out;
  out.labels = labels.names;
  out.regression = labels.regression;
  Row row;
  while (true) {
    FATHOM_ASSIGN(const bool more, file.table.next(row));
    if (!more) break;
    Example example;
    if (has_label(row, file, files)) {
      FATHOM_TRY(set_label(example, row.fields[*file.label], labels, file, files.published, row.line));
    } else {
      example.value = std::numeric_limits<double>::quiet_NaN();
    }
    if (file.text.size() > 1) example.pair = std::move(row.fields[file.text[1]]);
    example.text = std::move(row.fields[file.text[0]]);
    out.examples.push_back(std::move(example));
  }
  if (out.examples.empty())
    return Error{Errc::invalid_argument, path.string() + ": only a header; expected rows below it"};
  out.replaced = file.table.replaced();
  out.skipped = file.table.skipped();
  return out;
}

std::string test_beside(const std::string& file) {
  const fs::path path = file;
  std::string name = path.filename().string();
  for (const std::string_view word : {"validation", "dev", "eval"}) {
    if (const auto at = name.find(word); at != std::string::npos)
      return (path.parent_path() / name.replace(at, word.size(), "test")).string();
  }
  return (path.parent_path() / ("test" + path.extension().string())).string();
}

std::string file_of(const TaskFiles& files, Split split) {
  const std::string& scores = files.eval ? *files.eval : files.train;
  if (split == Split::test) return test_beside(scores);
  return split == Split::train ? files.train : scores;
}

// The rows that an in-line split gives to one side.
Status keep_side(Dataset& data, const TaskFiles& files, Split split) {
  FATHOM_ASSIGN(const Divided divided,
                divide(static_cast<std::uint32_t>(data.examples.size()), files.split, files.split_seed));
  std::vector<Example> side;
  for (const std::uint32_t index : split == Split::train ? divided.train : divided.dev) {
    side.push_back(std::move(data.examples[index]));
  }
  data.examples = std::move(side);
  return success();
}

}  // namespace

Result<fs::path> below_root(const fs::path& root, const std::string& relative) {
  const fs::path path = fs::path(relative).lexically_normal();
  if (relative.empty() || path.is_absolute() || *path.begin() == "..") {
    return Error{Errc::permission_denied, "the path \"" + relative + "\" does not lie below the data root " +
                                              root.string() + "; give it relative to the root"};
  }
  FATHOM_TRY(check_links(root / path));
  return root / path;
}

Split split_named(std::string_view name) {
  if (name == "train") return Split::train;
  return name == "test" ? Split::test : Split::eval;
}

Result<Dataset> load_task(const fs::path& root, const json& task, Split split) {
  FATHOM_ASSIGN(TaskFiles files, read_task(task));
  FATHOM_ASSIGN(const Labels labels, find_labels(root, files));
  FATHOM_ASSIGN(const fs::path path, below_root(root, file_of(files, split)));
  files.labelled = split != Split::test;
  FATHOM_ASSIGN(Dataset data, read_examples(path, files, labels));
  if (!files.eval && files.labelled) FATHOM_TRY(keep_side(data, files, split));
  return data;
}

Result<std::string> split_file(const fs::path& root, const json& task, Split split) {
  FATHOM_ASSIGN(const TaskFiles files, read_task(task));
  std::string file = file_of(files, split);
  FATHOM_ASSIGN(const fs::path path, below_root(root, file));
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return Error{Errc::not_found, "there is no file " + path.string()};
  return file;
}

std::vector<MoreEval> more_evals(const fs::path& root, const json& task) {
  const Published* known = published_of(task);
  const json eval = task.is_object() ? task.value("eval", json()) : json();
  if (known == nullptr || !known->two_evals || !eval.is_string()) return {};
  const fs::path file = eval.get<std::string>();
  std::string name = file.filename().string();
  const std::string matched = "_matched";
  const auto at = name.find(matched);
  if (at == std::string::npos) return {};
  const std::string other = (file.parent_path() / name.replace(at, matched.size(), "_mismatched")).string();
  const auto path = below_root(root, other);
  std::error_code ignored;
  if (!path || !fs::is_regular_file(*path, ignored)) return {};
  return {{"eval_mismatched", other}};
}

Result<std::vector<std::string>> task_labels(const fs::path& root, const json& task) {
  FATHOM_ASSIGN(const TaskFiles files, read_task(task));
  FATHOM_ASSIGN(Labels labels, find_labels(root, files));
  return std::move(labels.names);
}

}  // namespace fathom::data
