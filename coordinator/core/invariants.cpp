// The state against itself: everything that is kept twice (counters, indexes, leases) is made again from the jobs and
// compared, and what must never be is looked for. Numbers I1-I10: docs/lifecycle/invariants.md.
#include <map>
#include <set>
#include <string>

#include "coordinator/core/alone.hpp"
#include "coordinator/core/cache.hpp"
#include "coordinator/core/inspect.hpp"
#include "coordinator/core/machine.hpp"
#include "coordinator/core/needs.hpp"
#include "coordinator/core/searches.hpp"

namespace fathom::core {
namespace {

using Broken = std::vector<std::string>;

std::string text_of(const Job& job) {
  return "job " + std::to_string(job.number.value()) + " (" + name_of(phase_of(job)) + ")";
}

// I2: one living attempt a job, and the lease, the job and the worker name each other.
void check_leases(const State& state, Broken& broken) {
  std::size_t active = 0;
  for (const Job* one : all_jobs(state)) {
    const Job& job = *one;
    if (!is_active(phase_of(job))) continue;
    ++active;
    const auto lease = state.leases.find(job.lease);
    if (lease == state.leases.end()) {
      broken.push_back("I2: " + text_of(job) + " has no lease");
    } else if (lease->second.fence != Fence{job.number, job.generation, job.attempt, job.lease}) {
      broken.push_back("I2: the lease of " + text_of(job) + " is of another attempt");
    }
  }
  if (active != state.leases.size()) broken.push_back("I2: there are leases that no job holds");
  // The other way round: no lease without its worker, none from the future.
  for (const auto& [id, lease] : state.leases) {
    if (!state.worker(lease.worker)->leases.contains(id)) broken.push_back("I2: a lease is not its worker's");
    if (id.value() >= state.next_lease) broken.push_back("I2: lease numbers do not grow");
  }
}

// I7: slots and exclusive devices, and the free index says the same.
void check_devices(const State& state, Broken& broken) {
  std::map<std::pair<WorkerNumber, std::uint32_t>, std::uint32_t> running, alone;
  std::map<WorkerNumber, std::size_t> held;  // leases
  std::set<WorkerNumber> hosts;              // that a job has alone
  for (const auto& [id, lease] : state.leases) {
    ++held[lease.worker];
    if (takes_host(state, lease)) hosts.insert(lease.worker);
    for (const std::uint32_t device : lease.devices) {
      ++running[{lease.worker, device}];
      if (lease.alone) ++alone[{lease.worker, device}];
    }
    if (lease.devices.size() != ranks_of(state, *state.job(lease.fence.job)))
      broken.push_back("I7: a lease has another number of devices than ranks");
  }
  std::set<FreeDevice> free, ahead;
  for (const Worker& worker : state.workers) {
    const bool taken = hosts.contains(worker.number);
    if (taken && held[worker.number] > 1)
      broken.push_back("I7: a benchmark of the CPU shares the host of worker " + worker.name);
    for (std::uint32_t i = 0; i < worker.devices.size(); ++i) {
      const DeviceState& device = worker.devices[i];
      const std::uint32_t count = running[{worker.number, i}];
      const bool exclusive = alone[{worker.number, i}] != 0;
      const std::string name = device.device.name + " of worker " + worker.name;
      if (device.running != count) broken.push_back("I7: the count of leases on " + name + " is wrong");
      if (count > device.device.slots + device.device.ahead)
        broken.push_back("I7: " + name + " has more jobs than slots");
      if (exclusive && count > 1) broken.push_back("I7: a job that runs alone shares " + name);
      if (device.alone != exclusive) broken.push_back("I7: " + name + " is marked wrongly as exclusive");
      const bool open = worker.state == WorkerState::ready && !device.excluded && !exclusive && !taken;
      if (!open) continue;
      const std::uint32_t slots = device.device.slots;
      if (count < slots) free.insert({count, worker.number, i});
      if (count >= slots && count < slots + device.device.ahead) ahead.insert({count - slots, worker.number, i});
    }
  }
  if (ahead != state.free.ahead) broken.push_back("I7: the index of devices where a job may wait is wrong");
  if (free != state.free.all) broken.push_back("I7: the index of free devices is wrong");
  // Each free device that holds a model is found under the model and under model and task.
  std::size_t warm = 0;
  for (const auto& [key, devices] : state.free.warm) {
    for (const FreeDevice& device : devices) {
      warm += free.contains(device) ? 1 : 0;
      if (!free.contains(device)) broken.push_back("I7: a device is warm and not free");
    }
    if (devices.empty()) broken.push_back("I7: an empty entry is left in the index of warm devices");
  }
  std::size_t expected = 0;
  for (const FreeDevice& device : free) {
    expected += state.worker(device.worker)->devices[device.device].model.empty() ? 0 : 2;
  }
  if (warm != expected) broken.push_back("I7: the index of warm devices is wrong");
}

// I4: what runs has all its inputs, each ended well.
void check_inputs(const State& state, const Job& job, Broken& broken) {
  const std::size_t needs = state.planned(job).needs.size();
  const Phase phase = phase_of(job);
  // A blocked job has none yet; one that was skipped or cancelled never had to.
  const bool started = job.attempt != 0 || phase == Phase::ready || is_active(phase) || phase == Phase::succeeded;
  if (needs == 0 || !started) return;
  if (job.inputs.size() != needs) broken.push_back("I4: " + text_of(job) + " went on without its inputs");
  for (const JobNumber input : job.inputs) {
    const Job& from = *state.job(input);
    const auto* stopped = std::get_if<Stopped>(&from.state);
    const bool whole = phase_of(from) == Phase::succeeded || (stopped != nullptr && stopped->outcome->has_files);
    if (!whole) broken.push_back("I4: " + text_of(job) + " takes " + text_of(from));
  }
}

// I10: counters; and the queues hold exactly the jobs of their state.
void check_sweep(const State& state, const Sweep& sweep, Broken& broken) {
  Counts counts{};
  std::vector<Counts> stages(sweep.plan->stages.size());
  JobSet ready, ready_alone, active;
  for (sweeps::JobIndex i = 0; i < sweep.plan->jobs.size(); ++i) {
    const Job& job = *state.job(JobNumber(sweep.first.value() + i));
    const Phase phase = phase_of(job);
    if (job.sweep != sweep.number || job.index != i)
      broken.push_back("I10: " + text_of(job) + " is not where its sweep has it");
    ++counts[static_cast<std::size_t>(phase)];
    ++stages[sweep.plan->jobs[i].stage][static_cast<std::size_t>(phase)];
    if (phase == Phase::ready && !sweep.aside.contains(i)) (runs_alone(state, job) ? ready_alone : ready).insert(i);
    if (phase != Phase::ready && sweep.aside.contains(i)) broken.push_back("I8: " + text_of(job) + " stands aside");
    if (is_active(phase)) active.insert(i);
    if (const auto* blocked = std::get_if<Blocked>(&job.state); blocked && blocked->open != open_inputs(state, job)) {
      broken.push_back("I8: " + text_of(job) + " waits for a wrong number of jobs");
    }
    check_inputs(state, job, broken);
  }
  if (counts != sweep.counts || stages != sweep.stage_counts)
    broken.push_back("I10: counters of sweep " + sweep.id + " are wrong");
  if (!(ready == sweep.ready) || !(ready_alone == sweep.ready_alone))
    broken.push_back("I8: the queue of sweep " + sweep.id + " is wrong");
  if (!(active == sweep.active)) broken.push_back("I2: the active jobs of sweep " + sweep.id + " are wrong");
  // Ended means ended: no job may be left that could still run.
  const bool open = state.open_sweeps.contains(sweep.number);
  if (open != sweep.outcome.empty()) broken.push_back("I8: sweep " + sweep.id + " is open and ended");
  if (!sweep.outcome.empty() && !(ready.empty() && ready_alone.empty() && active.empty())) {
    broken.push_back("I8: sweep " + sweep.id + " ended before its jobs");
  }
}

// I9: one entry for each (setting, rung), in order, none after a stop.
void check_rungs(const Sweep& sweep, Broken& broken) {
  for (const StopGroup& group : sweep.groups) {
    // With `bootstrap` a setting may have entered later rungs before the verdict at an earlier one.
    const bool holds = group.stopper.rule().bootstrap != 0;
    std::map<sweeps::JobIndex, std::uint32_t> judged;
    std::set<sweeps::JobIndex> stopped;
    for (const sweeps::Stopper::Entry& entry : group.stopper.entries()) {
      if (entry.rung != judged[entry.job])
        broken.push_back("I9: a rung of sweep " + sweep.id + " was entered twice or out of order");
      if (stopped.contains(entry.job) && !holds)
        broken.push_back("I9: a stopped setting of sweep " + sweep.id + " went on");
      judged[entry.job] = entry.rung + 1;
      if (!entry.keep_going) stopped.insert(entry.job);
    }
    for (const auto& [first, setting] : group.settings) {
      if (setting.judged != judged[first] || setting.stopped != stopped.contains(first)) {
        broken.push_back("I9: verdicts of sweep " + sweep.id + " are counted wrongly");
      }
    }
  }
}

// I5: the count of keepers of each checkpoint, which says what may be collected.
void check_checkpoints(const State& state, Broken& broken) {
  std::map<std::string, std::uint32_t> uses, counted;
  for (const Job* one : all_jobs(state)) {
    const Job& job = *one;
    for (const KeptCheckpoint& kept : all_of(*job.progress->checkpoints)) ++uses[kept->sha256.str()];
  }
  for (const auto& [sha256, count] : state.checkpoint_uses) counted.emplace(sha256.str(), count);
  if (uses != counted) broken.push_back("I5: the uses of checkpoints are counted wrongly");
}

// I11: what is known and made is what jobs say, and nobody stands aside for nothing.
void check_cache(const State& state, Broken& broken) {
  using Index = std::multimap<sweeps::JobId, JobNumber>;
  Index results, training, known;
  state.results.all([&](sweeps::JobId id, const KnownResult& one) {
    known.emplace(id, JobNumber(one.job));
    const auto* done = std::get_if<Succeeded>(&state.job(JobNumber(one.job))->state);
    if (done == nullptr || done->mark->key != one.key || done->mark->seq != one.seq ||
        done->mark->made_secs != one.made_secs)
      broken.push_back("I11: the index of results says another thing than job " + std::to_string(one.job));
  });
  for (const Job* one : all_jobs(state)) {
    const Job& job = *one;
    const sweeps::JobId id = asked_id(state, job);
    const auto* done = std::get_if<Succeeded>(&job.state);
    if (done != nullptr && done->mark->key != 0 && done->mark->source == 0) results.emplace(id, job.number);
    if (is_active(phase_of(job))) training.emplace(id, job.number);
  }
  const auto same = [](const Index& made, const auto& kept) {
    const std::set<std::pair<sweeps::JobId, JobNumber>> a(made.begin(), made.end()), b(kept.begin(), kept.end());
    return a == b && made.size() == kept.size();
  };
  if (!same(results, known)) broken.push_back("I11: the index of results is wrong");
  if (!same(training, state.training)) broken.push_back("I11: the index of jobs in training is wrong");
  for (const Sweep& sweep : state.sweeps) {
    std::map<std::string, std::uint32_t> seekers;
    for (const auto* jobs : {&sweep.ready, &sweep.ready_alone, &sweep.active})
      for (const sweeps::JobIndex index : *jobs) ++seekers[binding_name(sweep.plan->jobs[index])];
    for (const auto& [task, binding] : sweep.bindings) {
      if (binding.seekers != seekers[task]) broken.push_back("I11: jobs of task " + task + " are counted wrongly");
    }
    for (const sweeps::JobIndex index : sweep.aside) {
      const Job& job = *state.job(JobNumber(sweep.first.value() + index));
      const bool unbound = result_key(state, job) == 0 && seekers[binding_name(sweep.plan->jobs[index])] != 0;
      const bool made = training.count(asked_id(state, job)) != 0;
      if (!unbound && !made && !state.pending.recall.contains(job.number))
        broken.push_back("I11: " + text_of(job) + " stands aside for nothing");
    }
  }
  for (const JobNumber job : state.pending.recall) {
    const Job& wants = *state.job(job);
    if (!state.sweep(wants.sweep)->aside.contains(wants.index)) broken.push_back("I11: a result is read for nobody");
  }
}

// I12: no attempt before its parameters or its set are known, one point for all seeds of a setting, and the index of
// them is whole.
void check_searches(const State& state, Broken& broken) {
  std::size_t drawn = 0;
  for (const Sweep& sweep : state.sweeps) {
    drawn += sweep.drawn.size();
    for (sweeps::JobIndex i = 0; i < sweep.plan->jobs.size(); ++i) {
      const Job& job = *state.job(JobNumber(sweep.first.value() + i));
      if (awaits_set(sweep, i) && (job.attempt != 0 || !job.inputs.empty()))
        broken.push_back("I12: " + text_of(job) + " went on without a set");
    }
    for (const sweeps::TrialGroup& search : sweep.plan->searches) {
      for (const auto& jobs : search.trials) {
        const auto first = jobs.empty() ? sweep.drawn.end() : sweep.drawn.find(jobs.front());
        for (const sweeps::JobIndex index : jobs) {
          const Job& job = *state.job(JobNumber(sweep.first.value() + index));
          const auto own = sweep.drawn.find(index);
          if (own == sweep.drawn.end() && (job.attempt != 0 || is_active(phase_of(job))))
            broken.push_back("I12: " + text_of(job) + " was given out without parameters");
          if ((own == sweep.drawn.end()) != (first == sweep.drawn.end()) ||
              (own != sweep.drawn.end() && own->second.point != first->second.point))
            broken.push_back("I12: the seeds of " + text_of(job) + " have other parameters");
        }
      }
    }
  }
  if (drawn != state.drawn.size()) broken.push_back("I12: the index of drawn jobs is wrong");
}

// I8: who waits for another sweep is found when something happens there, and reads only what is chosen.
void check_outside(const State& state, Broken& broken) {
  std::map<std::string, std::set<JobNumber>> waiting, kept;
  for (const Job* one : all_jobs(state)) {
    const Job& job = *one;
    if (phase_of(job) != Phase::blocked) continue;
    for (const sweeps::Need& need : state.planned(job).needs) {
      for (const auto& asked : need.elsewhere) waiting[asked->sweep].insert(job.number);
    }
  }
  for (const auto& [sweep, jobs] : state.outside) {
    for (const auto& [job, open] : jobs) kept[sweep].insert(job);
  }
  if (waiting != kept) broken.push_back("I8: the index of jobs that wait for other sweeps is wrong");
  for (const JobNumber number : state.pending.fetch) {
    const Job& job = *state.job(number);
    if (phase_of(job) != Phase::blocked || !std::holds_alternative<std::vector<ChosenInput>>(choose(state, job)))
      broken.push_back("I8: inputs of " + text_of(job) + " are read that are not chosen");
  }
}

}  // namespace

std::vector<const Job*> all_jobs(const State& state) {
  std::vector<const Job*> all;
  for (const Sweep& sweep : state.sweeps) {
    for (const Job& job : sweep.jobs) all.push_back(&job);
  }
  return all;
}

std::vector<std::string> invariants(const State& state) {
  Broken broken;
  check_leases(state, broken);
  check_devices(state, broken);
  for (const Sweep& sweep : state.sweeps) {
    check_sweep(state, sweep, broken);
    check_rungs(sweep, broken);
  }
  check_checkpoints(state, broken);
  check_cache(state, broken);
  check_searches(state, broken);
  check_outside(state, broken);
  return broken;
}

}  // namespace fathom::core
