#include "coordinator/core/populations.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "common/canonical_json.hpp"
#include "common/sha256.hpp"
#include "coordinator/core/cache.hpp"
#include "coordinator/core/handlers.hpp"
#include "coordinator/core/machine.hpp"
#include "sweeps/clone.hpp"

namespace fathom::core {
namespace {

using nlohmann::json;

// Text of DrawnJob::point.
std::string text_of(JobNumber donor, std::uint32_t epoch, const std::string& parent, const json& point) {
  return canonical_json({{"donor", donor.value()}, {"epoch", epoch}, {"parent", parent}, {"point", point}});
}

// Its last value at a rung, as the population has it.
double newest_of(const State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  return sweep.groups[sweep.group_of[job.index]].stopper.newest(sweep.setting_of[job.index]);
}

// Hashes that the job keeps now and nobody keeps once it has another job's checkpoint instead.
std::vector<std::string> given_up(const State& state, const Job& job, const std::string& taken) {
  std::vector<std::string> kept, out;
  for (const KeptCheckpoint& one : all_of(*job.progress->checkpoints)) kept.push_back(one->sha256.str());
  for (const std::string& hash : kept) {
    const auto own = static_cast<std::uint32_t>(std::ranges::count(kept, hash));
    const bool told = std::ranges::find(out, hash) != out.end();
    if (hash != taken && state.checkpoint_uses.find(hash)->second == own && !told) out.push_back(hash);
  }
  return out;
}

// It goes on with what it has: nobody who is better has left a checkpoint (yet).
event::Event keep(const Sweep& sweep, const StopGroup& group, sweeps::JobIndex first, std::uint32_t rung) {
  event::Event event;
  auto* out = event.mutable_rung_entered();
  out->set_job(sweep.first.value() + first);
  out->set_rung(rung);
  out->set_epoch(group.stopper.rungs(first)[rung]);
  out->set_value(group.stopper.newest(first));
  out->set_keep_going(true);
  out->set_decided(true);
  return event;
}

event::Event exploit(const State& state, const Job& job, std::uint32_t rung, const Job& donor,
                     const sweeps::Clone& clone) {
  const Checkpoint checkpoint = donor.progress->checkpoints->latest->whole();
  event::Event event;
  auto* out = event.mutable_exploited();
  out->set_job(job.number.value());
  out->set_rung(rung);
  out->set_value(newest_of(state, job));
  out->set_donor(donor.number.value());
  out->set_donor_value(newest_of(state, donor));
  out->set_epoch(checkpoint.epoch);
  out->set_step(checkpoint.step);
  out->mutable_file()->set_path(checkpoint.file.path);
  out->mutable_file()->set_sha256(checkpoint.file.sha256);
  out->mutable_file()->set_size(checkpoint.file.size);
  out->set_has_objective(donor.progress->best.has_value());
  out->set_objective(donor.progress->best.value_or(0));
  out->set_best_epoch(donor.progress->best_epoch);
  out->set_parameters(canonical_json(clone.point));
  for (const std::string& name : clone.resampled) out->add_resampled(name);
  for (const std::string& hash : given_up(state, job, checkpoint.file.sha256)) out->add_released(hash);
  return event;
}

// All checkpoints of the job.
void let_go_of_all(State& state, Progress& progress) {
  for (const KeptCheckpoint& one : all_of(*progress.checkpoints)) let_go(state, *one);
  progress.checkpoints.reset();
}

}  // namespace

bool is_member(const Sweep& sweep, sweeps::JobIndex index) {
  return !sweep.group_of.empty() && sweep.group_of[index] != kNoGroup &&
         sweep.groups[sweep.group_of[index]].stopper.clones();
}

event::Event clone(const State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  const StopGroup& group = sweep.groups[sweep.group_of[job.index]];
  const sweeps::JobIndex first = sweep.setting_of[job.index];
  const std::uint32_t rung = group.settings.at(first).judged - 1;
  const auto job_at = [&](sweeps::JobIndex index) -> const Job& {
    return *state.job(JobNumber(sweep.first.value() + index));
  };
  std::vector<sweeps::JobIndex> donors = group.stopper.donors(first);
  std::erase_if(donors, [&](sweeps::JobIndex index) { return !job_at(index).progress->checkpoints->latest; });
  const auto drawn =
      sweeps::clone_among(group.stopper.rule(), first, rung, donors,
                          [&](sweeps::JobIndex index) -> const sweeps::Job& { return state.planned(job_at(index)); });
  return drawn ? exploit(state, job, rung, job_at(drawn->donor), *drawn) : keep(sweep, group, first, rung);
}

Status know_clone(State& state, Sweep& sweep, sweeps::JobIndex index, const std::string& text) {
  const JobNumber number(sweep.first.value() + index);
  try {
    const json clone = json::parse(text);
    DrawnJob drawn;
    drawn.point = text;
    drawn.job = sweeps::cloned_job(sweep.plan->jobs[index], clone.at("point"));
    drawn.id = sweeps::JobId::of(drawn.job.settings.canonical() + "\n" + clone.at("parent").get<std::string>());
    if (const auto before = sweep.drawn.find(index); before != sweep.drawn.end()) {
      const auto known = state.drawn.equal_range(before->second.id);
      state.drawn.erase(std::find_if(known.first, known.second, [&](const auto& one) { return one.second == number; }));
    }
    state.drawn.emplace(drawn.id, number);
    sweep.drawn.insert_or_assign(index, std::move(drawn));
  } catch (const json::exception& error) {
    return Error{Errc::corrupt, "the clone that job " + std::to_string(number.value()) + " is: " + error.what()};
  }
  return success();
}

Status on(State& state, const event::Exploited& event, At) {
  Job* job = state.job(JobNumber(event.job()));
  const Job* donor = state.job(JobNumber(event.donor()));
  if (job == nullptr || donor == nullptr)
    return Error{Errc::not_found, "there is no job " + std::to_string(event.job()) + " or its donor"};
  Sweep& sweep = *state.sweep(job->sweep);
  const bool fits = is_member(sweep, job->index) && phase_of(*job) == Phase::paused && donor->sweep == job->sweep &&
                    sweep.group_of[donor->index] == sweep.group_of[job->index];
  if (!fits) return Error{Errc::failed_precondition, "only a member of a population that is paused becomes a clone"};
  StopGroup& group = sweep.groups[sweep.group_of[job->index]];
  Setting& setting = group.settings.at(sweep.setting_of[job->index]);
  if (!setting.waiting || setting.judged != event.rung() + 1)
    return Error{Errc::failed_precondition,
                 "the job does not wait for a verdict at rung " + std::to_string(event.rung())};
  const json point = json::parse(event.parameters(), nullptr, false);
  if (!point.is_object()) return Error{Errc::corrupt, "the parameters of a clone are not a JSON object"};
  const event::File& file = event.file();
  FATHOM_TRY(know_clone(state, sweep, job->index, text_of(donor->number, event.epoch(), file.sha256(), point)));
  const KeptCheckpoint taken =
      state.kept({event.epoch(), event.step(), {file.path(), file.sha256(), file.size()}, event.objective(), false});
  ++state.checkpoint_uses[taken->sha256];
  Progress& progress = job->progress.edit();
  let_go_of_all(state, progress);
  progress.checkpoints.edit().latest = taken;
  progress.best.reset();
  if (event.has_objective()) progress.best = event.objective();
  progress.best_epoch = event.best_epoch();
  // What its own weights came to at later rungs says nothing of those that it has now.
  progress.rung_values.resize(setting.judged);
  group.stopper.restore({sweep.setting_of[job->index], event.rung(), event.value(), true, false});
  setting.waiting = false;
  mark_setting(state, sweep, group, sweep.setting_of[job->index]);
  return success();
}

std::string describe_clone(const State& state, const Job& job) {
  const Sweep& sweep = *state.sweep(job.sweep);
  const auto drawn = sweep.drawn.find(job.index);
  if (drawn == sweep.drawn.end() || !is_member(sweep, job.index)) return {};
  const json clone = json::parse(drawn->second.point);
  const Job& donor = *state.job(JobNumber(clone.at("donor").get<std::uint64_t>()));
  std::string out =
      "cloned from " + state.planned(donor).id.text() + " after epoch " + clone.at("epoch").dump() + ", with";
  const char* sign = " ";
  for (const auto& [name, value] : clone.at("point").items()) {
    if (value.is_null()) continue;
    out += sign + name + " " + value.dump();
    sign = ", ";
  }
  return out;
}

}  // namespace fathom::core
