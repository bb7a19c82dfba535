#include "cli/tables.hpp"

#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/benchmarks.hpp"
#include "cli/summary.hpp"

namespace fathom::cli {

using nlohmann::json;

std::string csv_cell(const json& value) {
  if (value.is_null()) return "";
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

namespace {

// A CSV of rows that are objects. "param.*" among the columns stands for every param.NAME that a row has, by name.
std::string csv(const std::vector<std::string>& columns, const std::vector<json>& rows) {
  std::set<std::string> parameters;
  for (const json& row : rows) {
    for (const auto& [name, value] : row.items()) {
      if (name.starts_with("param.")) parameters.insert(name);
    }
  }
  std::vector<std::string> all;
  for (const std::string& column : columns) {
    if (column == "param.*") {
      all.insert(all.end(), parameters.begin(), parameters.end());
    } else {
      all.push_back(column);
    }
  }
  std::string out;
  for (std::size_t i = 0; i < all.size(); ++i) out += (i == 0 ? "" : ",") + csv_cell(all[i]);
  out += "\n";
  for (const json& row : rows) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto found = row.find(all[i]);
      out += (i == 0 ? "" : ",") + (found == row.end() ? std::string() : csv_cell(*found));
    }
    out += "\n";
  }
  return out;
}

json number_or_null(const std::optional<double>& value) { return value ? json(*value) : json(); }

json summary_row(const Summary& summary) {
  json row = {{"stage", summary.key.stage},
              {"task", summary.key.task},
              {"drop", summary.key.drop},
              {"depth", summary.key.depth},
              {"set", summary.key.set},
              {"kept", summary.key.kept},
              {"metric", summary.key.metric},
              {"mean", summary.mean()},
              {"std", number_or_null(summary.deviation())},
              {"seeds", summary.by_seed.size()},
              {"min", summary.lowest()},
              {"max", summary.highest()},
              {"retained", number_or_null(summary.retained)}};
  for (const char* name : {"n", "lo", "hi"}) row[name] = summary.row.value(name, json());
  for (const auto& [name, value] : summary.row.items()) {
    if (name.starts_with("param.")) row[name] = value;
  }
  return row;
}

// The job object with its result's numbers beside it, under the column names of jobs.csv and timing.csv.
json job_row(const json& detail) {
  json row = detail;
  const json result = detail.value("result", json());
  for (const char* name : {"steps", "epochs", "examples", "tokens", "seconds", "steps_per_s", "peak_memory",
                           "data_sha256", "base_sha256"}) {
    row[name] = result.is_object() ? result.value(name, json()) : json();
  }
  row["job"] = detail.value("id", json());
  row["status"] = detail.value("state", json());
  row["kept"] = detail.value("keep", json(0)) == json(0) ? json() : detail.value("keep", json());
  row["cached"] = detail.value("cached", json(false));
  const json attempts = detail.value("attempts", json());
  row["attempts"] = attempts.is_array() ? json(attempts.size()) : attempts;
  const json parameters = detail.value("parameters", json::object());  // named: items() refers to it
  for (const auto& [name, value] : parameters.items()) row["param." + name] = value;
  const double seconds = row["seconds"].is_number() ? row["seconds"].get<double>() : 0;
  if (seconds > 0 && row["examples"].is_number()) row["examples_per_s"] = row["examples"].get<double>() / seconds;
  if (seconds > 0 && row["tokens"].is_number()) row["tokens_per_s"] = row["tokens"].get<double>() / seconds;
  return row;
}

// A job's row of timing.csv; a benchmark has one for each of its baselines, with what it measured in place of what the
// job took.
void add_timing(std::vector<json>& timed, const json& job, const std::vector<json>& measured) {
  const std::size_t before = timed.size();
  for (const json& row : measured) {
    if (row.at("job") != job.at("job")) continue;
    timed.push_back(job);
    timed.back().update(row);
  }
  if (timed.size() == before) timed.push_back(job);
}

std::vector<json> attention_rows(const json& detail) {
  std::vector<json> out;
  const json result = detail.value("result", json());
  if (!result.is_object()) return out;
  for (json row : result.value("attention", json::array())) {
    row["job"] = detail.value("id", json());
    row["target"] = detail.value("task", json());
    row["seed"] = detail.value("seed", json());
    out.push_back(std::move(row));
  }
  return out;
}

}  // namespace

std::map<std::string, std::string> result_files(const json& sweep, const json& rows,
                                                const std::vector<CollectedJob>& jobs, const json& resolved) {
  std::vector<json> results(rows.begin(), rows.end());
  for (json& row : results) row["sweep"] = sweep.value("id", json());
  std::vector<json> summaries;
  for (const Summary& summary : summarize(rows)) summaries.push_back(summary_row(summary));
  std::vector<json> all_jobs;
  std::vector<json> timed;
  std::vector<json> attention;
  json benchmarks = json::array();
  for (const CollectedJob& job : jobs) {
    if (job.detail.value("kind", "") == "benchmark") benchmarks.push_back(job.detail);
  }
  const std::vector<json> measured = benchmark_rows(rows, benchmarks, resolved);
  for (const CollectedJob& job : jobs) {
    all_jobs.push_back(job_row(job.detail));
    if (all_jobs.back()["seconds"].is_number()) add_timing(timed, all_jobs.back(), measured);
    for (json& row : attention_rows(job.detail)) attention.push_back(std::move(row));
  }
  return {
      {"results.csv",
       csv({"sweep",   "stage",     "kind",   "task",  "drop",       "n",       "lo",      "hi",    "depth",  "set",
            "members", "kept",      "seed",   "split", "metric",     "value",   "primary", "epoch", "status", "param.*",
            "recipe",  "precision", "device", "job",   "generation", "attempt", "cached",  "sha256"},
           results)},
      {"summary.csv", csv({"stage", "task", "drop", "n", "lo", "hi", "depth", "set", "kept", "param.*", "metric",
                           "mean", "std", "seeds", "min", "max", "retained"},
                          summaries)},
      {"jobs.csv",
       csv({"job",         "stage",  "task",   "drop",    "seed",     "param.*",     "status",     "cause",
            "attempts",    "cached", "steps",  "epochs",  "examples", "tokens",      "seconds",    "steps_per_s",
            "peak_memory", "worker", "device", "started", "ended",    "data_sha256", "base_sha256"},
           all_jobs)},
      {"timing.csv", csv({"stage",
                          "kind",
                          "task",
                          "drop",
                          "set",
                          "kept",
                          "seed",
                          "param.*",
                          "job",
                          "device",
                          "steps",
                          "examples",
                          "tokens",
                          "seconds",
                          "steps_per_s",
                          "examples_per_s",
                          "tokens_per_s",
                          "peak_memory",
                          "depth",
                          "p10",
                          "p90",
                          "forward",
                          "backward",
                          "optimizer",
                          "rows_per_s",
                          "baseline",
                          "relative",
                          "saved",
                          "saved_per_layer"},
                         timed)},
      {"fusion_attention.csv",
       csv({"job", "target", "seed", "layer", "site", "adapter", "mean_weight", "rank", "kept_at"}, attention)},
  };
}

}  // namespace fathom::cli
