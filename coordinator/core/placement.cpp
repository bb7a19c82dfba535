// Where free slots are: kept sorted so that next_grant() finds the best device without looking at all of them.
#include "coordinator/core/machine.hpp"

namespace fathom::core {
namespace {

// The key under which a device is in the index now; it changes with every lease, so it leaves before and returns after.
FreeDevice entry_of(const Worker& worker, std::uint32_t device) {
  return {worker.devices[device].running, worker.number, device};
}

// A device whose one job wants to be alone is full, whatever its slots.
bool has_room(const Worker& worker, const DeviceState& device) {
  return worker.state == WorkerState::ready && !device.alone && device.running < device.device.slots;
}

void erase_warm(FreeDevices& free, const std::string& key, const FreeDevice& entry) {
  const auto found = free.warm.find(key);
  if (found == free.warm.end()) return;
  found->second.erase(entry);
  if (found->second.empty()) free.warm.erase(found);  // else every task ever seen would stay
}

void unindex(State& state, const Worker& worker, std::uint32_t index) {
  const DeviceState& device = worker.devices[index];
  const FreeDevice entry = entry_of(worker, index);
  if (state.free.all.erase(entry) == 0 || device.model.empty()) return;
  erase_warm(state.free, device.model, entry);
  erase_warm(state.free, warm_key(device.model, device.task), entry);
}

void index(State& state, const Worker& worker, std::uint32_t index) {
  const DeviceState& device = worker.devices[index];
  if (!has_room(worker, device)) return;
  const FreeDevice entry = entry_of(worker, index);
  state.free.all.insert(entry);
  if (device.model.empty()) return;
  state.free.warm[device.model].insert(entry);
  state.free.warm[warm_key(device.model, device.task)].insert(entry);
}

}  // namespace

std::string warm_key(const std::string& model, const std::string& task) { return model + '\n' + task; }

void unindex_worker(State& state, const Worker& worker) {
  for (std::uint32_t i = 0; i < worker.devices.size(); ++i) unindex(state, worker, i);
}

void index_worker(State& state, const Worker& worker) {
  for (std::uint32_t i = 0; i < worker.devices.size(); ++i) index(state, worker, i);
}

void add_lease(State& state, const Lease& lease) {
  Worker& worker = *state.worker(lease.worker);
  unindex(state, worker, lease.device);
  DeviceState& device = worker.devices[lease.device];
  const Job& job = *state.job(lease.fence.job);
  ++device.running;
  device.alone = lease.alone;
  device.model = state.sweep(job.sweep)->model;
  device.task = state.planned(job).task;
  index(state, worker, lease.device);
  worker.leases.insert(lease.fence.lease);
  state.leases.emplace(lease.fence.lease, lease);
}

void end_lease(State& state, LeaseId id) {
  const Lease lease = state.leases.at(id);
  Worker& worker = *state.worker(lease.worker);
  unindex(state, worker, lease.device);
  DeviceState& device = worker.devices[lease.device];
  --device.running;
  if (lease.alone) device.alone = false;
  index(state, worker, lease.device);
  worker.leases.erase(id);
  state.leases.erase(id);
}

}  // namespace fathom::core
