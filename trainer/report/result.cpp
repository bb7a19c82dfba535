#include "trainer/report/result.hpp"

#include <sys/resource.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace fathom::trainer {
namespace {

using nlohmann::json;

std::uint64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;  // Linux counts in KiB
}

json to_json(const AttentionRow& row) {
  json object = {{"layer", row.layer}, {"site", row.site},  {"adapter", row.adapter}, {"mean_weight", row.mean_weight},
                 {"rank", row.rank},   {"kept_at", nullptr}};
  if (row.kept_at) object["kept_at"] = *row.kept_at;
  return object;
}

}  // namespace

json to_json(const std::vector<ResultRow>& rows) {
  json list = json::array();
  for (const auto& row : rows) {
    list.push_back({{"epoch", row.epoch},
                    {"depth", row.depth},
                    {"split", row.split},
                    {"metric", row.metric},
                    {"value", row.value},
                    {"primary", row.primary}});
  }
  return list;
}

std::vector<ResultRow> rows_from_json(const json& rows) {
  std::vector<ResultRow> list;
  for (const auto& row : rows) {
    // JSON has no NaN; it was written as null.
    const double value = row.at("value").is_null() ? std::nan("") : row.at("value").get<double>();
    list.push_back({row.at("epoch").get<std::uint32_t>(), row.at("depth").get<std::uint32_t>(),
                    row.at("metric").get<std::string>(), value, row.at("primary").get<bool>(),
                    row.at("split").get<std::string>()});
  }
  return list;
}

json to_json(const JobResult& result) {
  json attention = json::array();
  for (const auto& row : result.attention) attention.push_back(to_json(row));
  // Evaluation is left out of the rate: it would hide how fast training is.
  const double rate = result.train_seconds > 0 ? static_cast<double>(result.steps) / result.train_seconds : 0.0;
  json object = {{"objective", result.objective},
                 {"epoch", result.epoch},
                 {"rows", to_json(result.rows)},
                 {"attention", attention},
                 {"kept", result.kept},
                 {"labels", result.labels},
                 {"steps", result.steps},
                 {"epochs", result.epochs},
                 {"examples", result.examples},
                 {"tokens", result.tokens},
                 {"seconds", result.seconds},
                 {"steps_per_s", rate},
                 {"peak_memory", peak_memory()},
                 {"base_sha256", result.base_sha256},
                 {"data_sha256", result.data_sha256},
                 {"device", result.device}};
  // Results of jobs that keep one look as they always did.
  for (const auto& score : result.best_epochs)
    object["best_epochs"].push_back({{"epoch", score.epoch}, {"objective", score.objective}});
  return object;
}

}  // namespace fathom::trainer
