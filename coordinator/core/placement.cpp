// Where free slots are, and where a job may wait: kept sorted so that next_grant() finds the best device without
// looking at all of them.
#include <algorithm>

#include "coordinator/core/alone.hpp"
#include "coordinator/core/machine.hpp"

namespace fathom::core {
namespace {

// The key under which a device is in the index now; it changes with every lease, so it leaves before and returns after.
FreeDevice entry_of(const Worker& worker, std::uint32_t device) {
  return {worker.devices[device].running, worker.number, device};
}

// The same of one without a free slot: how many wait there.
FreeDevice ahead_of(const Worker& worker, std::uint32_t device) {
  FreeDevice entry = entry_of(worker, device);
  entry.running -= worker.devices[device].device.slots;
  return entry;
}

// A device whose one job wants to be alone is full, whatever its slots, and so are all of a host that a job has alone.
bool has_room(const State& state, const Worker& worker, const DeviceState& device) {
  return worker.state == WorkerState::ready && !device.excluded && !device.alone &&
         device.running < device.device.slots + device.device.ahead && !host_taken(state, worker);
}

void erase_warm(FreeDevices& free, const std::string& key, const FreeDevice& entry) {
  const auto found = free.warm.find(key);
  if (found == free.warm.end()) return;
  found->second.erase(entry);
  if (found->second.empty()) free.warm.erase(found);  // else every task ever seen would stay
}

void unindex(State& state, const Worker& worker, std::uint32_t index) {
  const DeviceState& device = worker.devices[index];
  if (device.running >= device.device.slots) {
    state.free.ahead.erase(ahead_of(worker, index));
    return;
  }
  const FreeDevice entry = entry_of(worker, index);
  if (state.free.all.erase(entry) == 0 || device.model.empty()) return;
  erase_warm(state.free, device.model, entry);
  erase_warm(state.free, warm_key(device.model, device.task), entry);
}

void index(State& state, const Worker& worker, std::uint32_t index) {
  const DeviceState& device = worker.devices[index];
  if (!has_room(state, worker, device)) return;
  if (device.running >= device.device.slots) {
    state.free.ahead.insert(ahead_of(worker, index));
    return;
  }
  const FreeDevice entry = entry_of(worker, index);
  state.free.all.insert(entry);
  if (device.model.empty()) return;
  state.free.warm[device.model].insert(entry);
  state.free.warm[warm_key(device.model, device.task)].insert(entry);
}

// The devices of one kind that a gang would take here, the emptiest first; empty: there are not so many.
std::vector<FreeDevice> places_on(const State& state, const Sweep& sweep, const Worker& worker, const std::string& kind,
                                  std::uint32_t ranks) {
  const std::uint32_t others = host_taken(state, worker) ? 1 : 0;  // they wait for that job, too
  std::vector<FreeDevice> places;
  for (std::uint32_t i = 0; i < worker.devices.size(); ++i) {
    const DeviceState& device = worker.devices[i];
    if (device.device.kind != kind || device.excluded || !computes(sweep, device)) continue;
    places.push_back(entry_of(worker, i));
    places.back().running += others;
  }
  if (places.size() < ranks) return {};
  std::ranges::sort(places);
  places.resize(ranks);
  return places;
}

std::uint32_t busy(const std::vector<FreeDevice>& places) {
  std::uint32_t jobs = 0;
  for (const FreeDevice& place : places) jobs += place.running;
  return jobs;
}

}  // namespace

bool computes(const Sweep& sweep, const DeviceState& device) {
  switch (sweep.plan->precision) {
    case sweeps::Precision::fp32:
      break;
    case sweeps::Precision::bf16:
      return device.device.bf16;
    case sweeps::Precision::tf32:
      return device.device.kind != "cpu";
  }
  return true;
}

std::vector<FreeDevice> gang_places(const State& state, const Sweep& sweep, std::uint32_t ranks) {
  std::vector<FreeDevice> best;
  for (const Worker& worker : state.workers) {
    if (worker.state != WorkerState::ready) continue;
    std::set<std::string> kinds;
    for (const DeviceState& device : worker.devices) kinds.insert(device.device.kind);
    for (const std::string& kind : kinds) {
      auto places = places_on(state, sweep, worker, kind, ranks);
      if (!places.empty() && (best.empty() || busy(places) < busy(best))) best = std::move(places);
    }
  }
  return best;
}

std::string warm_key(const std::string& model, const std::string& task) { return model + '\n' + task; }

void unindex_worker(State& state, const Worker& worker) {
  for (std::uint32_t i = 0; i < worker.devices.size(); ++i) unindex(state, worker, i);
}

void index_worker(State& state, const Worker& worker) {
  for (std::uint32_t i = 0; i < worker.devices.size(); ++i) index(state, worker, i);
}

void add_lease(State& state, const Lease& lease) {
  Worker& worker = *state.worker(lease.worker);
  const Job& job = *state.job(lease.fence.job);
  const bool host = takes_host(state, lease);
  if (host) unindex_worker(state, worker);
  for (const std::uint32_t place : lease.devices) {
    unindex(state, worker, place);
    DeviceState& device = worker.devices[place];
    ++device.running;
    device.alone = lease.alone;
    // A gang has processes of its own: what the device's trainer holds stays.
    if (lease.devices.size() == 1) {
      device.model = state.sweep(job.sweep)->model;
      device.task = state.planned(job).task;
    }
  }
  worker.leases.insert(lease.fence.lease);
  state.leases.emplace(lease.fence.lease, lease);
  for (const std::uint32_t place : lease.devices) index(state, worker, place);
}

void end_lease(State& state, LeaseId id) {
  const Lease lease = state.leases.at(id);
  Worker& worker = *state.worker(lease.worker);
  const bool host = takes_host(state, lease);
  for (const std::uint32_t place : lease.devices) {
    unindex(state, worker, place);
    DeviceState& device = worker.devices[place];
    --device.running;
    if (lease.alone) device.alone = false;
  }
  worker.leases.erase(id);
  state.leases.erase(id);
  if (host) return index_worker(state, worker);
  for (const std::uint32_t place : lease.devices) index(state, worker, place);
}

}  // namespace fathom::core
