// Leases and the workers that hold them, applied.
#include <algorithm>

#include "coordinator/core/alone.hpp"
#include "coordinator/core/handlers.hpp"
#include "coordinator/core/machine.hpp"

namespace fathom::core {
namespace {

// A number that no WorkerJoined gave out.
Error no_worker(std::uint32_t number) { return Error{Errc::not_found, "there is no worker " + std::to_string(number)}; }

// The device's place in its worker; its size: it has none of that name.
std::uint32_t device_index(const Worker& worker, const std::string& name) {
  const auto found = std::ranges::find(worker.devices, name, [](const DeviceState& d) { return d.device.name; });
  return static_cast<std::uint32_t>(found - worker.devices.begin());
}

// "cpu:0", or of a gang "cpu:0+cpu:1".
std::vector<std::string> device_names(const std::string& names) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at <= names.size();) {
    const std::size_t end = std::min(names.find('+', at), names.size());
    out.push_back(names.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

// The places of the devices that a lease names. Empty: it does not have one, or one has no room.
std::vector<std::uint32_t> free_places(const Worker& worker, const std::string& names) {
  std::vector<std::uint32_t> places;
  for (const std::string& name : device_names(names)) {
    const std::uint32_t place = device_index(worker, name);
    if (place == worker.devices.size()) return {};
    const DeviceState& device = worker.devices[place];
    if (device.running >= device.device.slots + device.device.ahead) return {};
    places.push_back(place);
  }
  return places;
}

// The devices it has now, with the leases that are still on them.
std::vector<DeviceState> devices_of(State& state, const Worker& worker, const event::WorkerJoined& event) {
  std::vector<DeviceState> devices;
  for (const event::Device& device : event.devices()) {
    DeviceState& fresh = devices.emplace_back();
    fresh.device = {device.name(),  device.kind(),   device.threads(), device.slots(),
                    device.model(), device.memory(), device.bf16(),    device.ahead()};
    if (const std::uint32_t old = device_index(worker, device.name()); old != worker.devices.size()) {
      const DeviceState& before = worker.devices[old];
      fresh.model = before.model, fresh.task = before.task;  // its trainer may still live
      if (!event.restarted()) fresh.strikes = before.strikes, fresh.excluded = before.excluded;
    }
  }
  for (const LeaseId id : worker.leases) {
    Lease& lease = state.leases.at(id);
    for (std::uint32_t& place : lease.devices) {
      const std::string& name = worker.devices[place].device.name;
      const auto found = std::ranges::find(devices, name, [](const DeviceState& d) { return d.device.name; });
      place = static_cast<std::uint32_t>(found - devices.begin());
      ++found->running;
      found->alone = found->alone || lease.alone;
    }
  }
  return devices;
}

// Every lease it keeps must find its device again.
bool keeps_devices(const State& state, const Worker& worker, const event::WorkerJoined& event) {
  const auto kept = [&](std::uint32_t place) {
    const std::string& name = worker.devices[place].device.name;
    return std::ranges::any_of(event.devices(), [&](const event::Device& device) { return device.name() == name; });
  };
  return std::ranges::all_of(worker.leases,
                             [&](LeaseId id) { return std::ranges::all_of(state.leases.at(id).devices, kept); });
}

void set_worker_state(State& state, Worker& worker, WorkerState to) {
  unindex_worker(state, worker);
  worker.state = to;
  worker.unfit.clear();
  index_worker(state, worker);
}

}  // namespace

Status on(State& state, const event::LeaseGranted& event, At) {
  const event::Fence& fence = event.fence();
  Job* job = state.job(JobNumber(fence.job()));
  if (job == nullptr) return Error{Errc::not_found, "there is no job " + std::to_string(fence.job())};
  Worker* worker = state.worker(WorkerNumber(event.worker()));
  if (worker == nullptr) return no_worker(event.worker());
  const std::vector<std::uint32_t> places = free_places(*worker, event.device());
  if (places.empty()) {
    return Error{Errc::failed_precondition, "no free slot on " + event.device() + " of worker " + worker->name};
  }
  if (host_taken(state, *worker) ||
      (event.alone() && measured_on(state.planned(*job)) == "cpu" && !worker->leases.empty())) {
    return Error{Errc::failed_precondition, "a benchmark of the CPU shares the host of worker " + worker->name};
  }
  if (fence.generation() != job->generation || fence.attempt() != job->attempt + 1 ||
      fence.lease() < state.next_lease) {
    return Error{Errc::failed_precondition, "attempts and leases only grow"};
  }
  if (!may_start(*state.sweep(job->sweep))) {
    return Error{Errc::failed_precondition, "the job's sweep is paused or runs as many jobs as it may"};
  }
  if (!next(phase_of(*job), Move::grant)) return move_job(state, *job, Move::grant);  // says why not
  // What the attempts before said is fenced from here on: a new attempt, lease and count of items.
  job->attempt = fence.attempt();
  job->lease = LeaseId(fence.lease());
  job->sequence = 0;
  job->worker = worker->number;
  job->progress.edit().device = state.common(event.device());
  state.next_lease = fence.lease() + 1;
  count_grant(state, *state.sweep(job->sweep));
  add_lease(state, {{job->number, job->generation, job->attempt, job->lease}, worker->number, places, event.alone()});
  return move_job(state, *job, Move::grant, {.lease = job->lease});
}

Status on(State& state, const event::LeaseExpired& event, At) {
  FATHOM_ASSIGN(Job * job, attempt_of(state, event.fence()));
  FATHOM_TRY(move_job(state, *job, Move::expire,
                      {.text = "its worker was not heard of in time",
                       .until_wall_ms = event.until_wall_ms(),
                       .delay_ms = event.delay_ms(),
                       .outcome = seen(*job)}));
  ++job->losses;
  if (event.suspect()) job->suspect = true;  // read when its wait is over
  return success();
}

Status on(State& state, const event::LeaseReleased& event, At) {
  FATHOM_ASSIGN(Job * job, attempt_of(state, event.fence()));
  // Before the move, which queues the job by it. A fence with a lease allows a release in every state.
  if (event.suspect()) job->suspect = true;
  if (event.lost()) ++job->losses;
  FATHOM_TRY(move_job(state, *job, Move::release, {.text = event.why(), .outcome = seen(*job)}));
  if (event.fence().sequence() != 0) job->sequence = event.fence().sequence();
  return success();
}

Status on(State& state, const event::WorkerJoined& event, At) {
  const WorkerNumber number(event.worker());
  if (number.value() == state.workers.size() + 1) {  // numbers are given in order, as for jobs
    Worker& fresh = state.workers.emplace_back();
    fresh.number = number;
    fresh.uid = event.uid();
    fresh.state = WorkerState::gone;
    state.worker_by_uid.emplace(fresh.uid, number);
  }
  Worker* worker = state.worker(number);
  if (worker == nullptr) return no_worker(event.worker());
  if (!keeps_devices(state, *worker, event)) {
    return Error{Errc::failed_precondition, "worker " + event.name() + " has a lease on a device that it lost"};
  }
  // Out of the index with its old devices, back in with the new ones.
  unindex_worker(state, *worker);
  worker->devices = devices_of(state, *worker, event);
  worker->name = event.name();
  worker->state = WorkerState::ready;
  worker->unfit.clear();
  index_worker(state, *worker);
  return success();
}

Status on(State& state, const event::WorkerDraining& event, At) {
  Worker* worker = state.worker(WorkerNumber(event.worker()));
  if (worker == nullptr) return no_worker(event.worker());
  set_worker_state(state, *worker, WorkerState::draining);
  worker->unfit = event.why();
  return success();
}

Status on(State& state, const event::WorkerFit& event, At) {
  Worker* worker = state.worker(WorkerNumber(event.worker()));
  if (worker == nullptr) return no_worker(event.worker());
  if (worker->state != WorkerState::draining || worker->unfit.empty()) {
    return Error{Errc::failed_precondition, "worker " + worker->name + " was not unfit"};
  }
  set_worker_state(state, *worker, WorkerState::ready);
  return success();
}

Status on(State& state, const event::DeviceStruck& event, At) {
  Worker* worker = state.worker(WorkerNumber(event.worker()));
  if (worker == nullptr) return no_worker(event.worker());
  unindex_worker(state, *worker);
  for (const std::string& name : device_names(event.device())) {
    const std::uint32_t place = device_index(*worker, name);
    if (place == worker->devices.size()) continue;  // it came back without it
    DeviceState& device = worker->devices[place];
    ++device.strikes;
    device.excluded = device.excluded || event.excluded();
  }
  index_worker(state, *worker);
  return success();
}

Status on(State& state, const event::WorkerGone& event, At) {
  Worker* worker = state.worker(WorkerNumber(event.worker()));
  if (worker == nullptr) return no_worker(event.worker());
  set_worker_state(state, *worker, WorkerState::gone);
  return success();
}

}  // namespace fathom::core
