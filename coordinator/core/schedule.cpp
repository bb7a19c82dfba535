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

const FreeDevice* first_but(const std::set<FreeDevice>& devices, const std::optional<FreeDevice>& reserved) {
  for (const FreeDevice& device : devices) {
    if (!reserved || device != *reserved) return &device;
  }
  return nullptr;
}

const FreeDevice* device_for(const State& state, const Sweep& sweep, sweeps::JobIndex index,
                             const std::optional<FreeDevice>& reserved) {
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
event::Event grant(const State& state, const Sweep& sweep, sweeps::JobIndex index, const FreeDevice& to) {
  const Job& job = *state.job(JobNumber(sweep.first.value() + index));
  event::Event event;
  auto* granted = event.mutable_lease_granted();
  write_fence({job.number, job.generation, job.attempt + 1, LeaseId(state.next_lease)}, 0, granted->mutable_fence());
  granted->set_worker(to.worker.value());
  granted->set_device(state.worker(to.worker)->devices[to.device].device.name);
  granted->set_alone(runs_alone(state, job));
  return event;
}

}  // namespace

std::optional<event::Event> next_grant(const State& state) {
  if (state.free.all.empty()) return std::nullopt;
  // A job that runs alone and finds no empty device has the emptiest kept free for it, else neighbours would follow
  // each other on every device for ever.
  std::optional<FreeDevice> reserved;
  for (const Sweep* sweep : candidates(state)) {
    if (!sweep->ready_alone.empty() && !reserved) {
      const FreeDevice& emptiest = *state.free.all.begin();
      if (emptiest.running == 0) return grant(state, *sweep, *sweep->ready_alone.begin(), emptiest);
      reserved = emptiest;
    }
    if (sweep->ready.empty()) continue;
    const sweeps::JobIndex index = *sweep->ready.begin();
    if (const FreeDevice* device = device_for(state, *sweep, index, reserved))
      return grant(state, *sweep, index, *device);
  }
  return std::nullopt;
}

}  // namespace fathom::core
