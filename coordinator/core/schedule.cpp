// Which job gets which slot. Jobs first: a sweep that has starved, then sweeps by priority, then by weighted fair
// share, then the older; inside a sweep in the plan's order. Then the device: the emptiest, and among those one whose
// trainer holds the model and the task, or the model. Why: docs/decisions/0020.
#include <algorithm>
#include <limits>
#include <map>

#include "coordinator/core/alone.hpp"
#include "coordinator/core/core.hpp"
#include "coordinator/core/deciders.hpp"
#include "coordinator/core/extend.hpp"
#include "coordinator/core/machine.hpp"
#include "coordinator/core/run_ahead.hpp"
#include "coordinator/core/searches.hpp"

namespace fathom::core {
namespace {

// A sweep that wants a slot and was passed over by so many grants goes first once, whatever its priority.
constexpr std::uint64_t kStarving = 64;
// What a grant costs a sweep of weight 1, on the clock of its priority.
constexpr std::uint64_t kTurn = 1'000'000;

// What sweeps of one priority that may start a job now have together.
struct Rivals {
  std::uint64_t running = 0, weight = 0;
};

// A sweep's place in the line; the least goes first. Shares are of the slots that these sweeps hold and the one that is
// given out now.
struct Place {
  bool fed = true;                // not starving
  std::uint64_t passed_from = 0;  // of those that starve: the one that was passed over longest
  std::uint32_t unimportance = 0;
  int fill = 0;            // 0: it lacks a whole slot of its share; 1: a part of one; 2: it has its share
  std::uint64_t turn = 0;  // start-time fair queueing: parts of slots go round by weight
  SweepNumber number;
  auto operator<=>(const Place&) const = default;
};

std::uint64_t next_turn(const State& state, const Sweep& sweep) {
  const auto clock = state.share_clock.find(sweep.priority);
  return std::max(sweep.share, clock == state.share_clock.end() ? 0 : clock->second);
}

Place place_of(const State& state, const Sweep& sweep, const Rivals& rivals) {
  Place place;
  place.fed = state.grants - sweep.passed_from < kStarving;
  place.passed_from = place.fed ? 0 : sweep.passed_from;
  place.unimportance = std::numeric_limits<std::uint32_t>::max() - sweep.priority;
  const std::uint64_t share = (rivals.running + 1) * sweep.weight;  // in slots, times all weights
  const std::uint64_t has = sweep.active.size();
  place.fill = has < share / rivals.weight ? 0 : has * rivals.weight < share ? 1 : 2;
  place.turn = next_turn(state, sweep);
  place.number = sweep.number;
  return place;
}

// Sweeps that may start a job now, best first.
std::vector<const Sweep*> candidates(const State& state) {
  std::vector<const Sweep*> out;
  for (const SweepNumber number : state.open_sweeps) {
    const Sweep& sweep = *state.sweep(number);
    if (sweep.ready.empty() && sweep.ready_alone.empty()) continue;
    if (may_start(sweep)) out.push_back(&sweep);
  }
  if (out.size() < 2) return out;
  std::map<std::uint32_t, Rivals> rivals;
  for (const Sweep* sweep : out) {
    rivals[sweep->priority].running += sweep->active.size();
    rivals[sweep->priority].weight += sweep->weight;
  }
  std::ranges::sort(out, {}, [&](const Sweep* sweep) { return place_of(state, *sweep, rivals[sweep->priority]); });
  return out;
}

// The first that is not reserved and computes what the sweep asks for.
const FreeDevice* first_but(const State& state, const Sweep& sweep, const std::set<FreeDevice>& devices,
                            const std::vector<FreeDevice>& reserved) {
  for (const FreeDevice& device : devices) {
    if (!computes(sweep, state.worker(device.worker)->devices[device.device])) continue;
    if (std::ranges::find(reserved, device) == reserved.end()) return &device;
  }
  return nullptr;
}

const FreeDevice* device_for(const State& state, const Sweep& sweep, sweeps::JobIndex index,
                             const std::vector<FreeDevice>& reserved) {
  const std::string& task = sweep.plan->jobs[index].task;
  // An idle device beats a warm one that is busy: two jobs of a device share its time, a base is loaded once
  // (docs/decisions/0006). Among equally busy devices the warm one wins.
  const FreeDevice* emptiest = first_but(state, sweep, state.free.all, reserved);
  if (emptiest == nullptr) return nullptr;
  for (const std::string& key : {warm_key(sweep.model, task), sweep.model}) {
    const auto warm = state.free.warm.find(key);
    if (warm == state.free.warm.end()) continue;
    const FreeDevice* device = first_but(state, sweep, warm->second, reserved);
    if (device != nullptr && device->running == emptiest->running) return device;
  }
  return emptiest;
}

// What the job needs next: its parameters, where they are drawn only now, a checkpoint to go on from, else its lease.
// Attempt and lease are numbered here, in the event: evolve() only checks that they grow.
event::Event grant(const State& state, const Sweep& sweep, sweeps::JobIndex index, const std::vector<FreeDevice>& to) {
  if (awaits_point(sweep, index)) return draw_point(state, sweep, index);
  if (auto taken = take_checkpoint(state, sweep, index)) return *std::move(taken);
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

// No slot is free: what may wait behind the jobs that run.
std::optional<event::Event> ahead_grant(const State& state) {
  if (state.free.ahead.empty()) return std::nullopt;
  const auto line = candidates(state);
  // With others in the line the next slot is not this sweep's for sure, nor is it while a job wants a device alone.
  if (line.size() != 1 || !line.front()->ready_alone.empty()) return std::nullopt;
  const Sweep& sweep = *line.front();
  const sweeps::JobIndex index = *sweep.ready.begin();
  const FreeDevice* device = place_ahead(state, sweep, index);
  if (device == nullptr) return std::nullopt;
  return grant(state, sweep, index, {*device});
}

}  // namespace

void count_grant(State& state, Sweep& sweep) {
  sweep.passed_from = ++state.grants;
  std::uint64_t& clock = state.share_clock[sweep.priority];
  clock = std::max(sweep.share, clock);
  sweep.share = clock + kTurn / sweep.weight;
}

std::optional<event::Event> next_grant(const State& state) {
  if (state.free.all.empty()) return ahead_grant(state);
  // A job that runs alone and finds no empty device has the emptiest kept free for it, else neighbours would follow
  // each other on every device for ever. A gang has several, a benchmark of the CPU a whole worker.
  std::vector<FreeDevice> reserved;
  for (const Sweep* sweep : candidates(state)) {
    if (!sweep->ready_alone.empty() && reserved.empty()) {
      if (auto first = first_alone(state, *sweep)) {
        if (first->second.ready) return grant(state, *sweep, first->first, first->second.on);
        reserved = std::move(first->second.kept);
      }
    }
    if (sweep->ready.empty()) continue;
    const sweeps::JobIndex index = *sweep->ready.begin();
    if (const FreeDevice* device = device_for(state, *sweep, index, reserved))
      return grant(state, *sweep, index, {*device});
  }
  return std::nullopt;
}

}  // namespace fathom::core
