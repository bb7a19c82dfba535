// What a job ended with: its result and its files. Only what lists show is taken; the rest is read from the log.
#include <optional>

#include <nlohmann/json.hpp>

#include "common/json_scanner.hpp"
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

// What a list shows of a result: its plain numbers and texts, as an object; and how many rows its table has.
struct Summary {
  std::string stats;  // without the last brace
  I rows = 0;
};

// nullopt: no JSON object.
std::optional<Summary> summarize(const std::string& text) {
  using Token = JsonScanner::Token;
  Summary found;
  std::string key;  // at depth 1, as it stands there
  bool in_rows = false;
  JsonScanner scan(text);
  if (scan.next() != Token::begin_object) return std::nullopt;
  for (found.stats = "{";;) {
    const Token token = scan.next();
    const bool begins = token == Token::begin_object || token == Token::begin_array;
    if (token == Token::bad) return std::nullopt;
    if (token == Token::end) return found;
    if (in_rows && begins && scan.depth() == 3) ++found.rows;
    if (begins && scan.depth() == 2) in_rows = false;
    if (token == Token::begin_array && scan.depth() == 2 && key == "\"rows\"") found.rows = 0, in_rows = true;
    if (scan.depth() != 1) continue;
    if (token == Token::key) key = scan.text();
    if (token != Token::number && token != Token::string) continue;
    if (found.stats.size() > 1) found.stats += ',';
    ((found.stats += key) += ':') += scan.text();
  }
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

void Projector::finished(const event::Event& event, JobRow& job) {
  const auto& e = event.job_finished();
  store_result(event, job, {I{e.fence().generation()}, I{e.fence().attempt()}}, e.result(), weights_of(e.files()));
  if (e.has_objective()) job.objective = e.objective();
  job.cause.clear();
}

// The result is kept whole with the job that took it: what it came from is in `source` (never a job that took one).
Status Projector::reused(const event::Event& event, JobRow& job) {
  const auto& e = event.job_reused();
  const I source = sql(e.source());
  FATHOM_ASSIGN(const std::optional<JobEnd> from, rows_.end_of(source));
  store_result(event, job, {I{e.source_generation()}, from ? from->attempt : 0}, e.result(), weights_of(e.files()));
  if (from) {
    job.source = source;
    job.objective = from->objective;
    job.epoch = from->epoch;
    job.step = from->step;
    job.cause.clear();
  }
  rows_.reused(job.sweep, sql(event.seq()));
  return success();
}

void Projector::stopped(const event::Event& event, JobRow& job) {
  const auto& e = event.job_stopped();
  job.epoch = e.epoch();
  job.step = sql(e.step());
  if (!e.result().empty())
    store_result(event, job, {I{e.fence().generation()}, I{e.fence().attempt()}}, e.result(), weights_of(e.files()));
  if (e.has_objective()) job.objective = e.objective();
}

// A new result of a job (another generation) replaces the old one whole.
void Projector::store_result(const event::Event& event, JobRow& job, Origin origin, const std::string& text,
                             std::string weights) {
  job.result_generation = origin.generation;
  job.result_attempt = origin.attempt;
  job.result_seq = sql(event.seq());
  job.result_rows = 0;
  job.sha256 = std::move(weights);
  auto summary = summarize(text);
  if (!summary) return;
  job.result_rows = summary->rows;
  job.stats = std::move(summary->stats) + '}';
}

}  // namespace fathom::store
