// Which job gets which slot. Jobs first: sweeps by priority, then the one with the fewest running (fair share), then
// the older; inside a sweep in the plan's order. Then the device: the emptiest, and among those one whose trainer holds
// the model and the task, or the model.
#include <algorithm>

#include "coordinator/core/core.hpp"
#include "coordinator/core/deciders.hpp"
#include "coordinator/core/machine.hpp"

namespace fathom::core {
namespace {

// Sweeps that may start a job now, best first.
std::vector<const Sweep*> candidates(const State& state) {
  std::vector<const Sweep*> out;
  for (const SweepNumber number : state.open_sweeps) {
    const Sweep& sweep = *state.sweep(number);
    const std::uint32_t limit = sweep.plan->limits.concurrency;
    if (sweep.ready.empty() && sweep.ready_alone.empty()) continue;
    if (limit == 0 || sweep.active.size() < limit) out.push_back(&sweep);
  }
  std::ranges::sort(out, [](const Sweep* a, const Sweep* b) {
    if (a->plan->priority != b->plan->priority) return a->plan->priority > b->plan->priority;
    if (a->active.size() != b->active.size()) return a->active.size() < b->active.size();
    return a->number < b->number;
  });
  return out;
}

const FreeDevice* first_but(const std::set<FreeDevice>& devices, const std::vector<FreeDevice>& reserved) {
  for (const FreeDevice& device : devices) {
    if (std::ranges::find(reserved, device) == reserved.end()) return &device;
  }
  return nullptr;
}

const FreeDevice* device_for(const State& state, const Sweep& sweep, sweeps::JobIndex index,
                             const std::vector<FreeDevice>& reserved) {
  const std::string& task = sweep.plan->jobs[index].task;
  // An idle device beats a warm one that is busy: two jobs of a device share its time, a base is loaded once
  // (docs/decisions/0006). Among equally busy devices the warm one wins.
  const FreeDevice* emptiest = first_but(state.free.all, reserved);
  if (emptiest == nullptr) return nullptr;
  for (const std::string& key : {warm_key(sweep.model, task), sweep.model}) {
    const auto warm = state.free.warm.find(key);
    if (warm == state.free.warm.end()) continue;
    const FreeDevice* device = first_but(warm->second, reserved);
    if (device != nullptr && device->running == emptiest->running) return device;
  }
  return emptiest;
}

// Attempt and lease are numbered here, in the event: evolve() only checks that they grow.
event::Event grant(const State& state, const Sweep& sweep, sweeps::JobIndex index, const std::vector<FreeDevice>& to) {
  const Job& job = *state.job(JobNumber(sweep.first.value() + index));
  event::Event event;
  auto* granted = event.mutable_lease_granted();
  write_fence({job.number, job.generation, job.attempt + 1, LeaseId(state.next_lease)}, 0, granted->mutable_fence());
  const Worker& worker = *state.worker(to.front().worker);
  granted->set_worker(worker.number.value());
  std::string names;
  for (const FreeDevice& place : to) names += (names.empty() ? "" : "+") + worker.devices[place.device].device.name;
  granted->set_device(names);
  granted->set_alone(runs_alone(state, job));
  return event;
}

// Where the job that wants its devices to itself goes; they may have to become empty first.
std::vector<FreeDevice> places_alone(const State& state, const Sweep& sweep, sweeps::JobIndex index) {
  const std::uint32_t ranks = ranks_of(state, *state.job(JobNumber(sweep.first.value() + index)));
  if (ranks > 1) return gang_places(state, ranks);
  return {*state.free.all.begin()};
}

}  // namespace

std::optional<event::Event> next_grant(const State& state) {
  if (state.free.all.empty()) return std::nullopt;
  // A job that runs alone and finds no empty device has the emptiest kept free for it, else neighbours would follow
  // each other on every device for ever. A gang has several.
  std::vector<FreeDevice> reserved;
  for (const Sweep* sweep : candidates(state)) {
    if (!sweep->ready_alone.empty() && reserved.empty()) {
      const sweeps::JobIndex index = *sweep->ready_alone.begin();
      reserved = places_alone(state, *sweep, index);
      const bool ready = std::ranges::all_of(reserved, [](const FreeDevice& place) { return place.running == 0; });
      if (ready && !reserved.empty()) return grant(state, *sweep, index, reserved);
    }
    if (sweep->ready.empty()) continue;
    const sweeps::JobIndex index = *sweep->ready.begin();
    if (const FreeDevice* device = device_for(state, *sweep, index, reserved))
      return grant(state, *sweep, index, {*device});
  }
  return std::nullopt;
}

}  // namespace fathom::core
