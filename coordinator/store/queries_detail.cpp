// Everything about one job.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "coordinator/store/queries.hpp"

namespace fathom::store::queries {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxContenders = 100;  // named in an answer; a selector over thousands is only counted

struct JobBrief {
  std::string id;
  std::string state;
  std::string sweep;
};
Result<JobBrief> brief(Database& database, std::int64_t number) {
  FATHOM_ASSIGN(
      Statement * select,
      database.cached("SELECT id, state, (SELECT id FROM sweeps s WHERE s.number = j.sweep) FROM jobs j WHERE "
                      "number = ?"));
  FATHOM_ASSIGN(const bool row, select->bind(1, number).step());
  JobBrief found;
  if (row) found = {select->text(0), select->text(1), select->text(2)};
  select->reset();
  return found;
}

bool ended(const std::string& state) {
  return state == "succeeded" || state == "failed" || state == "diverged" || state == "stopped" ||
         state == "cancelled" || state == "skipped";
}

// Stored needs speak in job numbers; people read ids. `open` counts what has not ended.
Result<json> needs_of(Database& database, const json& stored, const json& chosen, std::int64_t& open) {
  json needs = json::array();
  for (std::size_t place = 0; place < stored.size(); ++place) {
    json jobs = json::array();
    std::int64_t contenders = 0;
    for (const auto& contender : stored[place]["contenders"]) {
      for (const auto& number : contender) {
        ++contenders;
        FATHOM_ASSIGN(const JobBrief job, brief(database, number.get<std::int64_t>()));
        if (!ended(job.state)) ++open;
        if (jobs.size() < kMaxContenders) jobs.push_back({{"job", job.id}, {"state", job.state}});
      }
    }
    json need = {{"name", stored[place]["name"]},
                 {"rank", stored[place]["rank"]},
                 {"of", contenders},
                 {"jobs", std::move(jobs)},
                 {"elsewhere", stored[place].value("elsewhere", json::array())},
                 {"chosen", nullptr},
                 {"mean", nullptr}};
    if (place < chosen.size()) {
      FATHOM_ASSIGN(const JobBrief job, brief(database, chosen[place]["job"].get<std::int64_t>()));
      need["chosen"] = job.id;
      need["sweep"] = job.sweep;
      need["mean"] = chosen[place]["mean"];
    }
    needs.push_back(std::move(need));
  }
  return needs;
}

// Why the job is not running, in words; empty while it runs or when its state says it all.
Result<std::string> explain(Database& database, const json& job, std::int64_t open) {
  const std::string state = job["state"];
  const std::string cause = job["cause"];
  if (state == "blocked")
    return fmt::format("waits for {} job{} that its inputs come from", open, open == 1 ? "" : "s");
  if (state == "backoff") return fmt::format("waits before the next attempt: {}", cause);
  if (state == "leased") return std::string("given to a worker that has not begun yet");
  if (state != "ready") return cause;
  FATHOM_ASSIGN(Statement sweep, database.prepare("SELECT state FROM sweeps WHERE id = ?"));
  FATHOM_ASSIGN(const bool known, sweep.bind(1, job["sweep"].get<std::string>()).step());
  if (known && sweep.text(0) == "paused")
    return fmt::format("waits until its sweep is resumed: fathom resume {}", job["sweep"].get<std::string>());
  FATHOM_ASSIGN(const std::int64_t workers, database.integer("SELECT count(*) FROM workers WHERE state = 'ready'"));
  if (workers == 0) return std::string("waits for a worker: none is connected (start one with fathom-worker)");
  FATHOM_ASSIGN(
      const std::int64_t active,
      database.integer("SELECT count(*) FROM jobs WHERE state = 'leased' OR state = 'running' OR state = 'stopping'"));
  return fmt::format("waits for a free slot: {} job{} on {} worker{}", active, active == 1 ? " is" : "s are", workers,
                     workers == 1 ? "" : "s");
}

}  // namespace

Result<JobDetail> job_detail(Database& database, const ReadEvents& read, std::int64_t number) {
  FATHOM_ASSIGN(json job, job_by_number(database, number));
  FATHOM_ASSIGN(Statement select,
                database.prepare("SELECT settings, needs, chosen FROM job_settings WHERE number = ?"));
  FATHOM_ASSIGN(const bool row, select.bind(1, number).step());
  job["settings"] = row ? parse_or(select.text(0), "null") : json();
  const json needs = row ? parse_or(select.text(1), "[]") : json::array();
  const json chosen = row ? parse_or(select.text(2), "[]") : json::array();
  std::int64_t open = 0;
  FATHOM_ASSIGN(job["needs"], needs_of(database, needs, chosen, open));
  FATHOM_ASSIGN(job["attempts"], attempts(database, read, number));
  FATHOM_ASSIGN(const std::int64_t seq,
                database.integer(fmt::format("SELECT result_seq FROM jobs WHERE number = {}", number)));
  FATHOM_ASSIGN(job["explain"], explain(database, job, open));
  return JobDetail{std::move(job), static_cast<std::uint64_t>(seq)};
}

}  // namespace fathom::store::queries
