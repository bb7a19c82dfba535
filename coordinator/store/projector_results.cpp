// What a job ended with: its result, the rows of its table, its files.
#include <cmath>

#include <nlohmann/json.hpp>

#include "coordinator/core/event.pb.h"
#include "coordinator/store/projector.hpp"

namespace fathom::store {
namespace {

using I = std::int64_t;

I sql(std::uint64_t value) { return static_cast<I>(value); }

// The one file that stands for a result in the tables: the adapter's weights, or a fusion's (its folder is named by all
// members, with commas).
template <class Files>
std::string weights_of(const Files& files) {
  std::string fusion;
  for (const auto& file : files) {
    if (file.path() == "adapter.safetensors") return file.sha256();
    const bool weights = file.path().ends_with(".safetensors") && file.path().find(',') != std::string::npos;
    if (weights && fusion.empty()) fusion = file.sha256();
  }
  return fusion;
}

// What a list shows of a result: its plain numbers and hashes.
std::string stats_of(const nlohmann::json& result) {
  std::string stats;
  for (const auto& [key, value] : result.items()) {
    if (!value.is_number() && !value.is_string()) continue;
    stats += stats.empty() ? '{' : ',';
    ((stats += nlohmann::json(key).dump()) += ':') += value.dump();
  }
  return stats.empty() ? "{}" : stats + '}';
}

}  // namespace

void show_result(const event::Event& event, nlohmann::json& job) {
  const auto show = [&job](const auto& e) {
    auto result = nlohmann::json::parse(e.result(), nullptr, false);
    job["result"] = result.is_discarded() ? nlohmann::json::object() : std::move(result);
    job["files"] = nlohmann::json::array();
    for (const auto& file : e.files())
      job["files"].push_back({{"path", file.path()}, {"sha256", file.sha256()}, {"size", file.size()}});
  };
  if (event.has_job_finished()) show(event.job_finished());
  if (event.has_job_stopped()) show(event.job_stopped());
  if (event.has_job_reused()) show(event.job_reused());
}

Status Projector::finished(const event::Event& event, JobRow& job) {
  const auto& e = event.job_finished();
  FATHOM_TRY(
      store_result(event, job, {I{e.fence().generation()}, I{e.fence().attempt()}}, e.result(), weights_of(e.files())));
  if (e.has_objective()) job.objective = e.objective();
  job.cause.clear();
  return end_attempt(event, job, "succeeded", "");
}

// The result is kept whole with the job that took it: what it came from is in `source` (never a job that took one).
Status Projector::reused(const event::Event& event, JobRow& job) {
  const auto& e = event.job_reused();
  const I source = sql(e.source());
  FATHOM_ASSIGN(const JobRow* from, rows_.job(source));
  FATHOM_TRY(store_result(event, job, {I{e.source_generation()}, from == nullptr ? 0 : from->result_attempt},
                          e.result(), weights_of(e.files())));
  if (from != nullptr) {
    job.source = source;
    job.objective = from->objective;
    job.epoch = from->epoch;
    job.step = from->step;
    job.cause.clear();
  }
  return run("UPDATE sweeps SET reused = reused + 1 WHERE number = ?", job.sweep);
}

Status Projector::stopped(const event::Event& event, JobRow& job) {
  const auto& e = event.job_stopped();
  job.epoch = e.epoch();
  job.step = sql(e.step());
  if (!e.result().empty())
    FATHOM_TRY(store_result(event, job, {I{e.fence().generation()}, I{e.fence().attempt()}}, e.result(),
                            weights_of(e.files())));
  if (e.has_objective()) job.objective = e.objective();
  return end_attempt(event, job, "stopped", "");
}

// A new result of a job (another generation) replaces the old one whole.
Status Projector::store_result(const event::Event& event, JobRow& job, Origin origin, const std::string& text,
                               const std::string& weights) {
  const I number = sql(event.job());
  const auto result = nlohmann::json::parse(text, nullptr, false);
  job.result_generation = origin.generation;
  job.result_attempt = origin.attempt;
  job.result_seq = sql(event.seq());
  job.sha256 = weights;
  if (job.stats) FATHOM_TRY(run("DELETE FROM result_rows WHERE job = ?", number));
  if (!result.is_object()) return success();
  job.stats = stats_of(result);
  I place = 0;
  try {
    for (const auto& row : result.value("rows", nlohmann::json::array())) {
      const auto value = row.contains("value") && row["value"].is_number() ? row["value"].get<double>() : std::nan("");
      FATHOM_TRY(run("INSERT INTO result_rows VALUES(?, ?, ?, ?, ?, ?, ?, ?)", number, place++,
                     row.value("epoch", I{0}), row.value("depth", I{0}), row.value("split", std::string{}),
                     row.value("metric", std::string{}), value, I{row.value("primary", false) ? 1 : 0}));
    }
  } catch (const nlohmann::json::exception&) {
    // A row of another shape comes from a worker of another version; the result itself is kept as it came.
  }
  return success();
}

}  // namespace fathom::store
