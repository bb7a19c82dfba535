// From a plan to the jobs of a sweep with the indexes that later steps use. Linear in jobs and needs.
#include <algorithm>
#include <unordered_set>
#include <utility>

#include <nlohmann/json.hpp>

#include "coordinator/core/cache.hpp"
#include "coordinator/core/event.pb.h"
#include "coordinator/core/machine.hpp"
#include "sweeps/setting.hpp"

namespace fathom::core {
namespace {

using sweeps::JobIndex;

std::uint32_t count_inputs(const sweeps::Job& job) {
  std::uint32_t count = 0;
  for (const sweeps::Need& need : job.needs) {
    for (const sweeps::Contender& contender : need.contenders)
      count += static_cast<std::uint32_t>(contender.jobs.size());
  }
  return count;
}

// A job that is looked at twice (by two needs, or in two contenders) counts twice, on both sides.
template <class Visit>
void each_input(const sweeps::Job& job, Visit visit) {
  for (std::uint32_t need = 0; need < job.needs.size(); ++need) {
    for (const sweeps::Contender& contender : job.needs[need].contenders) {
      for (const JobIndex input : contender.jobs) visit(input, need);
    }
  }
}

// Edges of all jobs in one array, sorted by the job that is looked at (counting sort).
Dependents dependents_of(const sweeps::Plan& plan) {
  Dependents out;
  std::size_t edges = 0;
  for (const sweeps::Job& job : plan.jobs) edges += count_inputs(job);
  if (edges == 0) return out;
  out.first.assign(plan.jobs.size() + 1, 0);
  out.edges.resize(edges);
  for (const sweeps::Job& job : plan.jobs) {
    each_input(job, [&](JobIndex input, std::uint32_t) { ++out.first[input + 1]; });
  }
  for (std::size_t i = 1; i < out.first.size(); ++i) out.first[i] += out.first[i - 1];
  std::vector<std::uint32_t> next(out.first.begin(), out.first.end() - 1);
  for (JobIndex i = 0; i < plan.jobs.size(); ++i) {
    each_input(plan.jobs[i], [&](JobIndex input, std::uint32_t need) { out.edges[next[input]++] = {i, need}; });
  }
  return out;
}

void group_stage(Sweep& sweep, std::uint32_t stage_index) {
  const sweeps::Plan& plan = *sweep.plan;
  const sweeps::Stage& stage = plan.stages[stage_index];
  std::unordered_map<std::string, std::uint32_t> groups;
  // The first job of each setting, found by any of its jobs that has its group already.
  const auto hash = [&](JobIndex i) { return sweeps::hash_of_setting(plan.jobs[i]); };
  const auto same = [&](JobIndex a, JobIndex b) {
    return sweep.group_of[a] == sweep.group_of[b] && sweeps::same_setting(plan.jobs[a], plan.jobs[b]);
  };
  std::unordered_set<JobIndex, decltype(hash), decltype(same)> firsts(stage.count, hash, same);
  std::map<std::uint32_t, std::vector<JobIndex>> jobs;  // by group
  for (JobIndex i = stage.first; i < stage.first + stage.count; ++i) {
    const sweeps::Job& job = plan.jobs[i];
    const auto [found, fresh] = groups.try_emplace(job.group, static_cast<std::uint32_t>(sweep.groups.size()));
    if (fresh) {
      sweeps::StopRule rule = *stage.stop;
      if (rule.max == 0) rule.max = job.epochs;  // the tasks of the stage differ; a group has one task
      sweep.groups.push_back({sweeps::Stopper(std::move(rule), plan.goal), {}, {}});
    }
    sweep.group_of[i] = found->second;
    sweep.setting_of[i] = *firsts.insert(i).first;
    jobs[found->second].push_back(i);
  }
  for (auto& [group, own] : jobs) sweep.groups[group].admit(std::move(own), sweep.setting_of);
}

// Nothing is kept per job where no stage stops early.
void make_groups(Sweep& sweep) {
  for (std::uint32_t i = 0; i < sweep.plan->stages.size(); ++i) {
    if (!sweep.plan->stages[i].stop) continue;
    if (sweep.group_of.empty()) {
      sweep.group_of.assign(sweep.plan->jobs.size(), kNoGroup);
      sweep.setting_of.assign(sweep.plan->jobs.size(), 0);
    }
    group_stage(sweep, i);
  }
}

// One base model a sweep (docs/protocol.md "settings"); a plan without the key is placed by emptiness alone.
std::string model_of(const sweeps::Plan& plan) {
  const nlohmann::json model = plan.jobs.front().settings.member("model");
  return model.is_object() ? model.value("path", model.value("config", std::string())) : std::string();
}

// Its queue, counters and name. No event follows but for needs that nothing can meet.
void add_job(State& state, Sweep& sweep, JobIndex index) {
  const sweeps::Job& planned = sweep.plan->jobs[index];
  Job& job = sweep.jobs.emplace_back();
  job.number = JobNumber(sweep.first.value() + index);
  job.sweep = sweep.number;
  job.index = index;
  if (!sweep.dependents.first.empty()) {
    job.open_dependents = sweep.dependents.first[index + 1] - sweep.dependents.first[index];
  }
  if (!planned.needs.empty()) {
    const std::uint32_t open = count_inputs(planned);
    job.state = Blocked{open, {}};
    watch_outside(state, job);
    if (open == 0) mark_needs(state, job);
  } else {
    job.state = Ready{};
    put_in(state, sweep, job);
  }
  const auto phase = static_cast<std::size_t>(phase_of(job));
  ++sweep.counts[phase];
  ++sweep.stage_counts[planned.stage][phase];
}

}  // namespace

void make_move_indexes(Sweep& sweep) { sweep.dependents = dependents_of(*sweep.plan); }

void drop_move_indexes(Sweep& sweep) {
  sweep.dependents = {};
  for (JobSet* queue : {&sweep.ready, &sweep.ready_alone, &sweep.aside, &sweep.active}) queue->clear();  // all empty
}

std::uint64_t hash_of(std::string_view text, std::uint64_t seed) {
  for (const char c : text) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return seed;
}

void add_sweep(State& state, const event::SweepSubmitted& event, std::int64_t wall_ms,
               std::shared_ptr<const sweeps::Plan> plan) {
  Sweep& sweep = state.sweeps.add(JobNumber(event.first_job()), static_cast<std::uint32_t>(plan->jobs.size()));
  sweep.id = event.id();
  sweep.idempotency_key = event.idempotency_key();
  sweep.content = hash_of(event.resolved());
  sweep.submitted_ms = wall_ms;
  sweep.plan = std::move(plan);
  sweep.priority = sweep.plan->priority;
  sweep.weight = sweep.plan->weight;
  sweep.passed_from = state.grants;
  sweep.limits = sweep.plan->limits;
  sweep.wall_from_ms = wall_ms;
  sweep.model = model_of(*sweep.plan);
  sweep.stage_counts.resize(sweep.plan->stages.size());
  sweep.took_us.assign(sweep.plan->stages.size(), -1);
  make_move_indexes(sweep);
  make_groups(sweep);
  sweep.by_id = JobIndexes(*sweep.plan);
  for (JobIndex i = 0; i < sweep.plan->jobs.size(); ++i) add_job(state, sweep, i);
  seek_bindings(state, sweep);
  state.sweep_by_id.emplace(sweep.id, sweep.number);
  if (!sweep.idempotency_key.empty()) state.sweep_by_key.emplace(sweep.idempotency_key, sweep.number);
  state.open_sweeps.insert(sweep.number);
  tell_outside(state, sweep);
}

}  // namespace fathom::core
