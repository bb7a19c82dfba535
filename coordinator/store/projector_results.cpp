// What a job ended with: its result, the rows of its table, its files.
#include <cmath>

#include <nlohmann/json.hpp>

#include "coordinator/core/event.pb.h"
#include "coordinator/store/projector.hpp"

namespace fathom::store {
namespace {

using I = std::int64_t;

I sql(std::uint64_t value) { return static_cast<I>(value); }

template <class Files>
std::string files_json(const Files& files) {
  nlohmann::json all = nlohmann::json::array();
  for (const auto& file : files)
    all.push_back({{"path", file.path()}, {"sha256", file.sha256()}, {"size", file.size()}});
  return all.dump();
}

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
  nlohmann::json stats = nlohmann::json::object();
  for (const auto& [key, value] : result.items()) {
    if (value.is_number() || value.is_string()) stats[key] = value;
  }
  return stats.dump();
}

}  // namespace

Status Projector::finished(const event::Event& event, JobRow& job) {
  const auto& e = event.job_finished();
  FATHOM_TRY(store_result(sql(event.job()), job, {I{e.fence().generation()}, I{e.fence().attempt()}}, e.result(),
                          files_json(e.files()), weights_of(e.files())));
  if (e.has_objective()) job.objective = e.objective();
  job.cause.clear();
  return end_attempt(event, job, "succeeded", "");
}

// The result is kept whole with the job that took it: what it came from is in `source` (never a job that took one).
Status Projector::reused(const event::Event& event, JobRow& job) {
  const auto& e = event.job_reused();
  const I source = sql(e.source());
  FATHOM_ASSIGN(Statement * select, database_.cached("SELECT attempt FROM job_results WHERE number = ?"));
  FATHOM_ASSIGN(const bool known, select->bind(1, source).step());
  const I attempt = known ? select->integer(0) : 0;
  select->reset();
  FATHOM_TRY(store_result(sql(event.job()), job, {I{e.source_generation()}, attempt}, e.result(), files_json(e.files()),
                          weights_of(e.files())));
  FATHOM_ASSIGN(const JobRow* from, rows_.job(source));
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
    FATHOM_TRY(store_result(sql(event.job()), job, {I{e.fence().generation()}, I{e.fence().attempt()}}, e.result(),
                            files_json(e.files()), weights_of(e.files())));
  if (e.has_objective()) job.objective = e.objective();
  return end_attempt(event, job, "stopped", "");
}

// A new result of a job (another generation) replaces the old one whole.
Status Projector::store_result(I number, JobRow& job, Origin origin, const std::string& text, const std::string& files,
                               const std::string& weights) {
  const auto result = nlohmann::json::parse(text, nullptr, false);
  FATHOM_TRY(run("INSERT OR REPLACE INTO job_results VALUES(?, ?, ?, ?, ?, ?)", number, origin.generation,
                 origin.attempt, result.is_discarded() ? std::string("{}") : text, files, weights));
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
