#include "cli/benchmarks.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/text_table.hpp"

namespace fathom::cli {

using nlohmann::json;

namespace {

constexpr const char* kPrefix = "param.benchmark.";

// A column as text; "" where it is absent.
std::string text(const json& object, const std::string& key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return "";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

std::string parameter(const json& row, const char* name) { return text(row, std::string(kPrefix) + name); }

// What all that may be compared have in common.
std::string conditions_of(const json& row) {
  std::string key;
  for (const char* column : {"worker", "device"}) key += text(row, column) + "\n";
  for (const char* name : {"device", "batch", "length", "measure"}) key += parameter(row, name) + "\n";
  return key;
}

// What jobs measured, at each depth.
std::vector<json> measured(const json& rows, const json& jobs) {
  std::map<std::string, std::map<double, json>> values;  // by job and depth
  for (const json& row : rows) {
    if (text(row, "kind") != "benchmark" || !row.value("value", json()).is_number()) continue;
    const json depth = row.value("depth", json());
    json& own = values[text(row, "job")][depth.is_number() ? depth.get<double>() : 0];
    own[text(row, "metric")] = row.at("value");
    own["depth"] = depth;
  }
  std::vector<json> out;
  for (const json& job : jobs) {
    const auto own = values.find(text(job, "id"));
    if (own == values.end()) continue;
    for (const auto& [depth, measures] : own->second) {
      if (!measures.contains("seconds")) continue;
      json row = measures;
      row["job"] = text(job, "id");
      for (const char* column : {"stage", "worker", "device", "drop"}) row[column] = job.value(column, json());
      const json parameters = job.value("parameters", json::object());  // named: items() refers to it
      for (const auto& [name, value] : parameters.items()) row["param." + name] = value;
      out.push_back(std::move(row));
    }
  }
  return out;
}

// What the baseline of this row would have to be, apart from its conditions: subject, adapter, members. Nothing: this
// baseline says nothing about such a row.
std::optional<std::string> wanted(const json& row, const std::string& baseline) {
  const std::string subject = parameter(row, "subject");
  const bool several = subject == "parallel" || subject == "separate";
  if (baseline == "separate")
    return several ? std::optional("separate\n" + parameter(row, "config") + "\n" + parameter(row, "members"))
                   : std::nullopt;
  if (several) return std::nullopt;
  if (baseline == "finetune") return "finetune\n\n";
  return subject == "finetune" ? std::nullopt : std::optional("adapter\n" + parameter(row, "config") + "\n");
}

void compare(json& row, const std::string& baseline, const std::optional<double>& reference) {
  row["baseline"] = baseline;
  const double seconds = row.at("seconds").get<double>();
  if (!reference || seconds <= 0 || *reference <= 0) return;
  row["relative"] = *reference / seconds;
  row["saved"] = 1 - seconds / *reference;
  const double depth = row.value("depth", json(0)).get<double>();
  if (parameter(row, "subject") == "parallel" && depth > 0) row["saved_per_layer"] = row["saved"].get<double>() / depth;
}

json baselines_of(const json& resolved, const std::string& stage) {
  for (const json& one : resolved.value("stages", json::array())) {
    if (text(one, "name") == stage) return one.value(json::json_pointer("/benchmark/baseline"), json::array());
  }
  return json::array();
}

std::string cell(const json& row, const char* key, const char* format, double scale = 1) {
  const auto found = row.find(key);
  return found != row.end() && found->is_number() ? fmt::format(fmt::runtime(format), found->get<double>() * scale)
                                                  : "";
}

std::string subject_text(const json& row) {
  const std::string subject = parameter(row, "subject");
  return subject + (subject == "adapter" ? " " + parameter(row, "config") : "");
}

}  // namespace

std::vector<json> benchmark_rows(const json& rows, const json& jobs, const json& resolved) {
  const std::vector<json> all = measured(rows, jobs);
  // By conditions and what it is, at depth 0: of the same stage if it has measured it, else of another, since equal
  // jobs of two stages are one.
  std::map<std::string, double> own, any;
  for (const json& row : all) {
    if (row.value("depth", json(0)) != 0) continue;
    const std::string subject = parameter(row, "subject");
    const bool whole = subject == "finetune";
    const std::string key = conditions_of(row) + subject + "\n" + (whole ? "" : parameter(row, "config")) + "\n" +
                            parameter(row, "members");
    own[text(row, "stage") + "\n" + key] = row.at("seconds").get<double>();
    any.emplace(key, row.at("seconds").get<double>());
  }
  std::vector<json> out;
  for (const json& row : all) {
    const std::size_t before = out.size();
    const json baselines = baselines_of(resolved, text(row, "stage"));
    for (const json& baseline : baselines) {
      const auto key = wanted(row, baseline.get<std::string>());
      if (!key) continue;
      const auto same = own.find(text(row, "stage") + "\n" + conditions_of(row) + *key);
      const auto other = any.find(conditions_of(row) + *key);
      std::optional<double> reference;
      if (other != any.end()) reference = other->second;
      if (same != own.end()) reference = same->second;
      out.push_back(row);
      compare(out.back(), baseline.get<std::string>(), reference);
    }
    if (out.size() == before) out.push_back(row);
  }
  return out;
}

std::string benchmark_table(const std::vector<json>& rows) {
  std::vector<std::string> baselines;
  bool layers = false;
  for (const json& row : rows) {
    const std::string baseline = text(row, "baseline");
    if (!baseline.empty() && std::find(baselines.begin(), baselines.end(), baseline) == baselines.end())
      baselines.push_back(baseline);
    layers = layers || row.contains("saved_per_layer");
  }
  std::vector<std::string> headings = {"device", "measure", ">batch", ">length", "subject", ">members",
                                       ">drop",  ">ms",     ">p10",   ">p90",    ">rows/s"};
  for (const std::string& baseline : baselines) {
    headings.push_back(">x " + baseline);
    headings.emplace_back(">saved");
  }
  if (layers) headings.emplace_back(">a layer");
  TextTable table(headings);
  for (std::size_t i = 0; i < rows.size();) {
    const json& row = rows[i];
    std::vector<std::string> cells = {parameter(row, "device"),
                                      parameter(row, "measure"),
                                      parameter(row, "batch"),
                                      parameter(row, "length"),
                                      subject_text(row),
                                      parameter(row, "members"),
                                      text(row, "depth"),
                                      cell(row, "seconds", "{:.2f}", 1000),
                                      cell(row, "p10", "{:.2f}", 1000),
                                      cell(row, "p90", "{:.2f}", 1000),
                                      cell(row, "rows_per_s", "{:.1f}")};
    std::string per_layer;
    std::map<std::string, const json*> against;  // by baseline: the rows of one job and depth stand together
    const auto same = [&](const json& other) {
      return text(other, "job") == text(row, "job") && text(other, "depth") == text(row, "depth");
    };
    for (; i < rows.size() && same(rows[i]); ++i) {
      against[text(rows[i], "baseline")] = &rows[i];
      if (rows[i].contains("saved_per_layer")) per_layer = cell(rows[i], "saved_per_layer", "{:.1f} %", 100);
    }
    for (const std::string& baseline : baselines) {
      const auto found = against.find(baseline);
      cells.push_back(found == against.end() ? "" : cell(*found->second, "relative", "{:.2f}"));
      cells.push_back(found == against.end() ? "" : cell(*found->second, "saved", "{:.1f} %", 100));
    }
    if (layers) cells.push_back(per_layer);
    table.row(std::move(cells));
  }
  return table.text();
}

}  // namespace fathom::cli
