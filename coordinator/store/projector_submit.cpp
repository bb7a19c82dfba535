// SweepSubmitted: one event, up to 100,000 rows.
#include <algorithm>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "coordinator/core/event.pb.h"
#include "coordinator/store/projector.hpp"
#include "sweeps/elsewhere.hpp"
#include "sweeps/sweep.hpp"

namespace fathom::store {
namespace {

using I = std::int64_t;

std::string needs_json(const sweeps::Job& job, std::uint64_t first_job) {
  if (job.needs.empty()) return "[]";
  nlohmann::json needs = nlohmann::json::array();
  for (const sweeps::Need& need : job.needs) {
    nlohmann::json contenders = nlohmann::json::array();
    for (const sweeps::Contender& contender : need.contenders) {
      nlohmann::json jobs = nlohmann::json::array();
      for (const sweeps::JobIndex index : contender.jobs) jobs.push_back(first_job + index);
      contenders.push_back(std::move(jobs));
    }
    needs.push_back({{"name", need.name}, {"rank", need.rank}, {"contenders", std::move(contenders)}});
    for (const auto& asked : need.elsewhere) needs.back()["elsewhere"].push_back(sweeps::name_of(*asked));
  }
  return needs.dump();
}

nlohmann::json stages_json(const sweeps::Plan& plan) {
  nlohmann::json stages = nlohmann::json::array();
  for (const sweeps::Stage& stage : plan.stages) {
    stages.push_back({{"name", stage.name}, {"kind", sweeps::name_of(stage.kind)}, {"jobs", stage.count}});
  }
  return stages;
}

// As in the sweep object of docs/protocol.md: seconds; 0: no limit.
nlohmann::json limits_json(const sweeps::Limits& limits) {
  return {{"concurrency", limits.concurrency},
          {"wall", limits.wall_seconds},
          {"job_wall", limits.job_wall_seconds},
          {"failed", limits.failed}};
}

// In the order of their first job, which is the file's.
nlohmann::json tasks_json(const sweeps::Plan& plan) {
  std::vector<std::string> tasks;
  for (const sweeps::Job& job : plan.jobs) {
    if (std::find(tasks.begin(), tasks.end(), job.task) == tasks.end()) tasks.push_back(job.task);
  }
  return tasks;
}

std::string_view first_state(const sweeps::Job& job) { return job.needs.empty() ? "ready" : "blocked"; }

Status insert_job(Statement& insert, Statement& settings, const sweeps::Job& job, const sweeps::Plan& plan, I number,
                  I sweep, std::uint64_t first_job) {
  const std::string id = job.id.text(), parameters = nlohmann::json(job.parameters).dump();
  insert.borrow_all(number, sweep, id, plan.stages[job.stage].name, std::string_view(sweeps::name_of(job.kind)),
                    job.task.str(), job.drop.str(), job.set.str(), I{job.keep}, job.seed, parameters, I{job.epochs},
                    first_state(job));
  FATHOM_TRY(insert.run());
  // Settings stand in the plan, but for those that are completed or changed while the sweep runs (of populations).
  const auto& stop = plan.stages[job.stage].stop;
  const bool open = job.search != sweeps::kNoSearch || job.greedy || (stop && stop->method == "pbt");
  if (!open && job.needs.empty()) return success();
  const auto own = open ? std::optional<std::string>(job.settings.canonical()) : std::nullopt;
  return settings.bind_all(number, own, needs_json(job, first_job)).run();
}

}  // namespace

Result<std::shared_ptr<const sweeps::Plan>> expand_text(const std::string& sweep, const std::string& resolved) {
  sweeps::Sweep parsed;
  parsed.resolved = nlohmann::json::parse(resolved, nullptr, false);
  if (parsed.resolved.is_discarded()) return Error{Errc::corrupt, fmt::format("sweep {} in the log is no JSON", sweep)};
  FATHOM_ASSIGN(sweeps::Plan plan, sweeps::expand(parsed));
  return std::make_shared<const sweeps::Plan>(std::move(plan));
}

Result<std::shared_ptr<const sweeps::Plan>> Projector::plan_of(const event::Event& event) const {
  if (auto known = plans_ ? plans_(event.seq()) : nullptr) return known;
  return expand_text(event.sweep_submitted().id(), event.sweep_submitted().resolved());
}

Status Projector::submit(const event::Event& event) {
  const auto& e = event.sweep_submitted();
  const I sweep = e.sweep();
  FATHOM_ASSIGN(const std::shared_ptr<const sweeps::Plan> known, plan_of(event));
  const sweeps::Plan& plan = *known;
  if (plan.jobs.size() != e.jobs()) {
    return Error{Errc::corrupt,
                 fmt::format("sweep {} made {} jobs when it was submitted and {} now: this program's expander "
                             "differs (version {} in the log)",
                             e.id(), e.jobs(), plan.jobs.size(), e.expander_version())};
  }
  FATHOM_TRY(
      run("INSERT INTO sweeps VALUES(?, ?, ?, ?, 'running', '', ?, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)",
          sweep, e.id(), plan.name, e.file(), I{event.wall_ms()}, I{e.jobs()}, static_cast<I>(e.first_job()),
          I{plan.priority}, I{plan.weight}, limits_json(plan.limits).dump(),
          std::string_view(plan.goal == sweeps::Goal::maximize ? "maximize" : "minimize"), tasks_json(plan).dump(),
          stages_json(plan).dump(), nlohmann::json(plan.notes).dump(), static_cast<I>(event.seq()),
          static_cast<I>(event.seq()), plan.recipe, std::string_view(sweeps::name_of(plan.precision))));
  FATHOM_ASSIGN(
      Statement * insert,
      database_.cached("INSERT INTO jobs(number, sweep, id, stage, kind, task, drop_label, set_label, keep, seed, "
                       "parameters, epochs, state) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"));
  FATHOM_ASSIGN(Statement * settings,
                database_.cached("INSERT INTO job_settings(number, settings, needs) VALUES(?, ?, ?)"));
  I number = static_cast<I>(e.first_job());
  std::map<std::pair<std::uint32_t, std::string_view>, I> counts;  // by stage and state
  for (const sweeps::Job& job : plan.jobs) {
    FATHOM_TRY(insert_job(*insert, *settings, job, plan, number++, sweep, e.first_job()));
    ++counts[{job.stage, first_state(job)}];
  }
  for (const auto& [key, count] : counts) {
    FATHOM_TRY(run("INSERT INTO counts VALUES(?, ?, ?, ?)", sweep, plan.stages[key.first].name, key.second, count));
  }
  return success();
}

}  // namespace fathom::store
