// From durable events to messages. An assignment is made here and nowhere else, from the plan and the jobs that were
// chosen as inputs.
#include <nlohmann/json.hpp>

#include "common/canonical_json.hpp"
#include "common/kept_epochs.hpp"
#include "coordinator/core/core.hpp"
#include "coordinator/core/deciders.hpp"
#include "coordinator/core/machine.hpp"
#include "coordinator/core/notices.hpp"
#include "sweeps/search/population.hpp"

namespace fathom::core {
namespace {

using nlohmann::json;

const Outcome* outcome_of(const Job& job) {
  if (const auto* done = std::get_if<Succeeded>(&job.state)) return &*done->outcome;
  if (const auto* done = std::get_if<Stopped>(&job.state)) return &*done->outcome;
  return nullptr;
}

// The adapters inside a model, in their order: a fusion's members; for a pruned one those of its source.
json members_of(const State& state, const Job& job) {
  const sweeps::Job& planned = state.planned(job);
  if (planned.kind == sweeps::Kind::prune && !job.inputs.empty())
    return members_of(state, *state.job(job.inputs.front()));
  json names = json::array();
  if (planned.kind != sweeps::Kind::fusion) return names;
  const std::string& set = planned.set;
  for (std::size_t from = 0, to = 0; to != std::string::npos; from = to + 1) {
    to = set.find('+', from);
    names.push_back(set.substr(from, to == std::string::npos ? to : to - from));
  }
  return names;
}

// docs/protocol.md "inputs", and the files that it names.
void add_inputs(const State& state, const Job& job, SendAssign& to) {
  const sweeps::Job& planned = state.planned(job);
  const Sweep& sweep = *state.sweep(job.sweep);
  if (job.inputs.empty() && !is_grouped(sweep, job)) {
    to.inputs = "{}";
    return;
  }
  json inputs = json::object();
  for (std::size_t i = 0; i < job.inputs.size(); ++i) {
    const std::string& name = planned.needs[i].name;
    const Job& input = *state.job(job.inputs[i]);
    json entry = {{"job", state.planned(input).id}, {"folder", "inputs/" + name}};
    if (name == "source") {
      entry["settings"] = state.planned(input).settings.whole();
      entry["members"] = members_of(state, input);
      inputs["source"] = std::move(entry);
    } else {
      entry["name"] = name;
      inputs["members"].push_back(std::move(entry));
    }
    // The worker lays each file under inputs/ by its path: the folder is the need's name.
    const Outcome* outcome = outcome_of(input);
    if (outcome == nullptr) continue;
    for (const File& file : *outcome->files) {
      // Jobs take the best epoch.
      if (!kept_file(file.path)) to.fetch.push_back({name + "/" + file.path, file.sha256, file.size});
    }
  }
  // Where a method judges by steps, it is measured there as well.
  if (is_grouped(sweep, job)) {
    const sweeps::Stopper& stopper = sweep.groups[sweep.group_of[job.index]].stopper;
    if (stopper.rule().by_step) inputs["rungs"] = stopper.rungs(sweep.setting_of[job.index]);
    // Checkpoints of other members fit, whatever these parameters are.
    if (stopper.clones()) inputs["explored"] = sweeps::explored(stopper.rule());
  }
  to.inputs = canonical_json(inputs);
}

// Complete in itself: a worker that knows nothing else of the job can run it.
SendAssign assign(const State& state, const event::LeaseGranted& granted) {
  const Job& job = *state.job(JobNumber(granted.fence().job()));
  SendAssign out;
  out.worker = WorkerNumber(granted.worker());
  out.fence = fence_of(job);
  out.job_id = state.planned(job).id.text();
  out.device = granted.device();
  out.settings = state.planned(job).settings.canonical();
  add_inputs(state, job, out);
  const Checkpoints& kept = *job.progress->checkpoints;
  if (kept.latest) out.resume = kept.latest->whole();  // of whichever attempt: any worker can go on from it
  if (kept.older) out.resume_older = kept.older->whole();
  for (const KeptCheckpoint& earlier : kept.earlier) out.resume_earlier.push_back(earlier->whole());
  out.alone = granted.alone();
  return out;
}

// Only to a worker that is there; one that comes back is told when it joins.
void add_stop(const State& state, const Job& job, std::vector<Effect>& out) {
  const Phase phase = phase_of(job);
  const bool runs = phase == Phase::leased || phase == Phase::running;
  if (!is_active(phase) || (runs && !job.handing_back)) return;
  if (state.worker(job.worker)->state == WorkerState::gone) return;
  // The trainer has no limits of its own: for it a job over its limit is cancelled.
  const char* cause = phase == Phase::stopping ? "search" : runs || phase == Phase::pausing ? "pause" : "cancel";
  out.emplace_back(SendStop{job.worker, fence_of(job), cause});
}

void add_stops(const State& state, SweepNumber number, std::vector<Effect>& out) {
  const Sweep& sweep = *state.sweep(number);
  for (const sweeps::JobIndex index : sweep.active)
    add_stop(state, *state.job(JobNumber(sweep.first.value() + index)), out);
}

void add_stops(const State& state, const event::WorkerJoined& event, std::vector<Effect>& out) {
  for (const LeaseId id : state.worker(WorkerNumber(event.worker()))->leases) {
    add_stop(state, *state.job(state.leases.at(id).fence.job), out);
  }
}

// A worker that is there, and was silent or has to give the job back: its trainer is to make room.
void add_lost(const State& state, const event::Fence& fence, std::vector<Effect>& out) {
  const Job& job = *state.job(JobNumber(fence.job()));
  if (state.worker(job.worker)->state != WorkerState::gone)
    out.emplace_back(SendStop{job.worker, fence_of(job), "lost"});
}

}  // namespace

std::vector<Effect> effects(const State& after, const event::Event& event) {
  std::vector<Effect> out;
  switch (event.payload_case()) {
    case event::Event::kLeaseGranted:
      out.emplace_back(assign(after, event.lease_granted()));
      break;
    case event::Event::kStopWished:
      add_stop(after, *after.job(JobNumber(event.stop_wished().fence().job())), out);
      break;
    case event::Event::kPauseWished:
      add_stop(after, *after.job(JobNumber(event.pause_wished().fence().job())), out);
      break;
    case event::Event::kJobCancelRequested:
      if (const Job& job = *after.job(JobNumber(event.job_cancel_requested().job())); is_active(phase_of(job))) {
        add_stop(after, job, out);
      }
      break;
    case event::Event::kSweepCancelRequested:
      if (!event.sweep_cancel_requested().finish())
        add_stops(after, SweepNumber(event.sweep_cancel_requested().sweep()), out);
      break;
    case event::Event::kSweepChanged:
      if (event.sweep_changed().now()) add_stops(after, SweepNumber(event.sweep_changed().sweep()), out);
      break;
    case event::Event::kWorkerJoined:
      add_stops(after, event.worker_joined(), out);
      break;
    case event::Event::kLeaseExpired:
      add_lost(after, event.lease_expired().fence(), out);
      break;
    case event::Event::kLeaseReleased:
      if (event.lease_released().recalled()) add_lost(after, event.lease_released().fence(), out);
      break;
    case event::Event::kCheckpointCommitted:
      for (const std::string& hash : event.checkpoint_committed().released()) out.emplace_back(ReleaseArtifact{hash});
      break;
    case event::Event::kExploited:
      for (const std::string& hash : event.exploited().released()) out.emplace_back(ReleaseArtifact{hash});
      break;
    default:
      break;
  }
  // After a start nobody knows which of the open ones were taken: all are sent again.
  const bool starts = event.has_coordinator_started();
  for (SendNotice& notice : notices_of(after, starts ? 0 : event.seq())) out.emplace_back(std::move(notice));
  return out;
}

}  // namespace fathom::core
