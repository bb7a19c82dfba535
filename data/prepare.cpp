#include "data/prepare.hpp"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "data/dataset.hpp"
#include "data/labels.hpp"
#include "data/split.hpp"

namespace fathom::data {

namespace fs = std::filesystem;

namespace {

struct Kept {
  std::vector<std::string> texts;  // one or two
  std::string label;               // its name
  std::uint64_t line = 0;
};

// One line of a TSV cannot hold a tab or a line break: each becomes a blank (CRLF becomes one).
std::string one_line(std::string text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    out.push_back(text[i] == '\t' || text[i] == '\n' || text[i] == '\r' ? ' ' : text[i]);
  }
  return out;
}

bool is_blank(const std::string& text) { return text.find_first_not_of(" \t\r\n") == std::string::npos; }

class Preparation {
 public:
  Preparation(const Recipe& recipe, Table table, Prepared& report)
      : recipe_(recipe), table_(std::move(table)), report_(report) {}

  // Every row that the recipe asks for, in the source's order.
  Result<std::vector<Kept>> rows() {
    FATHOM_TRY(find_columns());
    std::vector<Kept> kept;
    Row row;
    while (true) {
      FATHOM_ASSIGN(const bool more, table_.next(row));
      if (!more) break;
      ++report_.read;
      FATHOM_TRY(take(row, kept));
    }
    report_.replaced = table_.replaced();
    return kept;
  }

 private:
  Status find_columns() {
    for (const auto& [column, value] : recipe_.where) {
      FATHOM_ASSIGN(const std::size_t index, table_.find(column));
      where_.emplace_back(index, value);
    }
    for (const Column& column : recipe_.text) {
      FATHOM_ASSIGN(const std::size_t index, table_.find(column));
      text_.push_back(index);
    }
    FATHOM_ASSIGN(label_, table_.find(recipe_.label));
    return success();
  }

  Status take(const Row& row, std::vector<Kept>& kept) {
    const auto differs = [&row](const auto& wish) { return row.fields[wish.first] != wish.second; };
    if (std::any_of(where_.begin(), where_.end(), differs)) {
      ++report_.filtered;
      return success();
    }
    Kept next;
    next.line = row.line;
    for (const std::size_t index : text_) next.texts.push_back(one_line(row.fields[index]));
    if (std::all_of(next.texts.begin(), next.texts.end(), is_blank)) {
      ++report_.empty;
      return success();
    }
    FATHOM_ASSIGN(next.label, label_name(row));
    if (recipe_.deduplicate && is_duplicate(next)) return success();
    kept.push_back(std::move(next));
    return success();
  }

  Result<std::string> label_name(const Row& row) const {
    const std::string& value = row.fields[label_];
    if (recipe_.regression) {
      if (number_of(value)) return value;
      return table_.error_at(row.line, fmt::format("the label \"{}\" is no number (labels: number)", value));
    }
    if (recipe_.labels.empty()) {
      if (!value.empty() && value.find_first_of("\t\r\n") == std::string::npos) return value;
      return table_.error_at(row.line, "the label is empty, or holds a tab or a line break");
    }
    std::vector<std::string> known;
    for (const auto& [from, name] : recipe_.labels) {
      if (from == value) return name;
      known.push_back(from);
    }
    return table_.error_at(row.line, fmt::format("unknown label \"{}\"; the recipe lists {}", value, listed(known)));
  }

  bool is_duplicate(const Kept& next) {
    const std::string key = next.texts.front() + '\n' + (next.texts.size() > 1 ? next.texts[1] : "");
    const auto [found, fresh] = seen_.try_emplace(key, next.label);
    report_.duplicates += fresh ? 0 : 1;
    report_.conflicts += !fresh && found->second != next.label ? 1 : 0;
    return !fresh;
  }

  const Recipe& recipe_;
  Table table_;
  Prepared& report_;
  std::vector<std::pair<std::size_t, std::string>> where_;
  std::vector<std::size_t> text_;
  std::size_t label_ = 0;
  std::unordered_map<std::string, std::string> seen_;  // texts to their first label
};

Labels final_labels(const Recipe& recipe, const std::vector<Kept>& rows) {
  Labels labels{{}, recipe.regression};
  if (recipe.regression) return labels;
  std::vector<std::string> names;
  for (const auto& entry : recipe.labels) names.push_back(entry.second);
  if (!names.empty()) return {names, false};
  for (const Kept& row : rows) names.push_back(row.label);
  return labels_of(std::move(names));
}

// The file's text, counting rows by label id.
std::string tsv(const std::vector<Kept>& rows, const std::vector<std::uint32_t>& order, const Labels& labels,
                std::vector<std::uint64_t>& counts) {
  const bool pair = !rows.empty() && rows.front().texts.size() > 1;
  std::string out = pair ? "text\tpair\tlabel\n" : "text\tlabel\n";
  counts.assign(labels.names.size(), 0);
  for (const std::uint32_t index : order) {
    const Kept& row = rows[index];
    for (const std::string& text : row.texts) out += text + "\t";
    out += row.label + "\n";
    if (const auto id = labels.id(row.label)) ++counts[static_cast<std::size_t>(*id)];
  }
  return out;
}

std::string labels_json(const Labels& labels) {
  nlohmann::ordered_json out = {{"format", 1}};
  if (labels.regression) {
    out["regression"] = true;
  } else {
    out["labels"] = labels.names;
  }
  return out.dump(1) + "\n";
}

void cut(std::vector<std::uint32_t>& rows, const std::optional<std::uint64_t>& limit) {
  if (limit && rows.size() > *limit) rows.resize(*limit);
}

}  // namespace

Result<Prepared> prepare(const Recipe& recipe, const fs::path& root, const fs::path& out) {
  Prepared report;
  report.folder = out;
  FATHOM_ASSIGN(const fs::path source, below_root(root, recipe.source));
  FATHOM_ASSIGN(Table table, Table::open(source, recipe.table));
  FATHOM_ASSIGN(const std::vector<Kept> rows, Preparation(recipe, std::move(table), report).rows());
  if (rows.empty()) {
    return Error{Errc::invalid_argument, fmt::format("{}: none of {} rows is left (where: dropped {}, no text: {})",
                                                     source.string(), report.read, report.filtered, report.empty)};
  }
  auto divided = divide(static_cast<std::uint32_t>(rows.size()), recipe.split, recipe.split_seed);
  if (!divided) return Error{divided.error().code, source.string() + ": " + divided.error().message};
  cut(divided->train, recipe.limit_train);
  cut(divided->dev, recipe.limit_dev);
  report.train = divided->train.size();
  report.dev = divided->dev.size();
  if (report.train == 0 || report.dev == 0)
    return Error{Errc::invalid_argument, "limit: train and dev need a row each"};

  const Labels labels = final_labels(recipe, rows);
  report.labels = labels.names;
  const std::string train = tsv(rows, divided->train, labels, report.train_counts);
  const std::string dev = tsv(rows, divided->dev, labels, report.dev_counts);
  FATHOM_TRY(make_folders(out.string()));
  FATHOM_TRY(write_file_atomic((out / "train.tsv").string(), train));
  FATHOM_TRY(write_file_atomic((out / "dev.tsv").string(), dev));
  FATHOM_TRY(write_file_atomic((out / "labels.json").string(), labels_json(labels)));
  return report;
}

}  // namespace fathom::data
