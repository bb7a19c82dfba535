// Workers that come, stay and go. A worker that is back says what it still has: what it has is adopted, what it has not
// is given out again, what is not its own (any more) it has to abandon.
#include <algorithm>
#include <map>

#include "coordinator/core/deciders.hpp"

namespace fathom::core {
namespace {

// Back to the queue. A job that was running lost an attempt; one that was only leased lost nothing.
void release(const State& state, const Lease& lease, const std::string& why, Decision& decision) {
  const Job& job = *state.job(lease.fence.job);
  auto* released = decision.events.emplace_back().mutable_lease_released();
  write_fence(lease.fence, 0, released->mutable_fence());
  released->set_why(why);
  released->set_lost(phase_of(job) == Phase::running);
  released->set_suspect(released->lost() && job.losses + 1 >= kSuspectLosses);
}

// Frames come from outside: names must be unique, since leases name devices by them.
std::optional<Error> check_hello(const WorkerHello& hello) {
  if (hello.uid.empty())
    return Error{Errc::invalid_argument, "a worker needs an id: remove its state folder and start it again"};
  if (hello.devices.empty()) return Error{Errc::invalid_argument, "worker " + hello.name + " offers no device"};
  for (std::size_t i = 0; i < hello.devices.size(); ++i) {
    const Device& device = hello.devices[i];
    // A '+' joins the devices of a gang.
    if (device.name.empty() || device.slots == 0 || device.name.find('+') != std::string::npos) {
      return Error{Errc::invalid_argument, "device " + std::to_string(i) + " of worker " + hello.name +
                                               " needs a name without '+', and a slot"};
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (hello.devices[j].name == device.name) {
        return Error{Errc::invalid_argument, "worker " + hello.name + " has two devices named " + device.name};
      }
    }
  }
  return std::nullopt;
}

// Leases that the worker still has and that fit on the devices it has now.
std::vector<LeaseId> adopted(const State& state, const Worker& worker, const WorkerHello& hello) {
  std::map<std::string, std::uint32_t> room;
  for (const Device& device : hello.devices) room[device.name] = device.slots + device.ahead;
  std::vector<LeaseId> keep;
  for (const LeaseId id : worker.leases) {
    const Lease& lease = state.leases.at(id);
    const bool held = std::ranges::any_of(hello.held, [&](const Held& h) { return h.fence == lease.fence; });
    const auto slots = [&](std::uint32_t place) -> std::uint32_t& { return room[worker.devices[place].device.name]; };
    const bool fits = std::ranges::all_of(lease.devices, [&](std::uint32_t place) { return slots(place) > 0; });
    // A lease that has no slot any more is given up even if it runs: devices are never oversubscribed.
    if (!held || !fits) continue;
    for (const std::uint32_t place : lease.devices) --slots(place);
    keep.push_back(id);
  }
  return keep;
}

// The devices are in the event: capacity is part of what a replay has to know.
void write_joined(const WorkerHello& hello, WorkerNumber number, Decision& decision) {
  auto* joined = decision.events.emplace_back().mutable_worker_joined();
  joined->set_worker(number.value());
  joined->set_uid(hello.uid);
  joined->set_name(hello.name);
  joined->set_restarted(hello.restarted);
  for (const Device& device : hello.devices) {
    auto* to = joined->add_devices();
    to->set_name(device.name);
    to->set_kind(device.kind);
    to->set_threads(device.threads);
    to->set_slots(device.slots);
    to->set_model(device.model);
    to->set_memory(device.memory);
    to->set_bf16(device.bf16);
    to->set_ahead(device.ahead);
  }
}

void write_draining(WorkerNumber worker, const std::string& why, Decision& decision) {
  auto* draining = decision.events.emplace_back().mutable_worker_draining();
  draining->set_worker(worker.value());
  draining->set_why(why);
}

}  // namespace

const Lease* lease_of(const State& state, WorkerNumber worker, const Fence& fence) {
  const auto found = state.leases.find(fence.lease);
  const bool same = found != state.leases.end() && found->second.worker == worker && found->second.fence == fence;
  return same ? &found->second : nullptr;
}

Decision decide_hello(const Context& context, const WorkerHello& hello) {
  if (std::optional<Error> error = check_hello(hello)) return refuse(error->code, error->message);
  const State& state = context.state;
  const auto known = state.worker_by_uid.find(hello.uid);
  Joined joined;
  Decision decision;
  std::vector<LeaseId> keep;
  if (known == state.worker_by_uid.end()) {
    joined.worker = WorkerNumber(static_cast<std::uint32_t>(state.workers.size() + 1));
  } else {
    joined.worker = known->second;
    const Worker& worker = *state.worker(known->second);
    keep = adopted(state, worker, hello);
    for (const LeaseId id : worker.leases) {
      if (std::ranges::find(keep, id) != keep.end()) continue;
      release(state, state.leases.at(id), "its worker came back without it", decision);
    }
  }
  // The rest of what it holds went to others, ended, or is from a state folder of another coordinator.
  for (const Held& held : hello.held) {
    if (std::ranges::find(keep, held.fence.lease) == keep.end()) joined.abandon.push_back(held.fence);
  }
  write_joined(hello, joined.worker, decision);
  if (!hello.unfit.empty()) write_draining(joined.worker, hello.unfit, decision);
  decision.answer = std::move(joined);
  return decision;
}

// Without `drained` nothing but the connection is gone: its leases are left to time.
Decision decide_gone(const Context& context, const WorkerGone& command) {
  const Worker* worker = context.state.worker(command.worker);
  if (worker == nullptr) return refuse(Errc::not_found, "there is no such worker");
  Decision decision;
  if (command.drained) {
    for (const LeaseId id : worker->leases)
      release(context.state, context.state.leases.at(id), "its worker left", decision);
  }
  if (worker->state == WorkerState::gone && decision.events.empty()) return decision;
  decision.events.emplace_back().mutable_worker_gone()->set_worker(command.worker.value());
  // No lease of a worker that leaves may be granted to it again in between: it goes first.
  std::rotate(decision.events.begin(), decision.events.end() - 1, decision.events.end());
  return decision;
}

Decision decide_heartbeat(const Context& context, const Heartbeat& command) {
  const Worker* worker = context.state.worker(command.worker);
  if (worker == nullptr) return refuse(Errc::not_found, "there is no such worker");
  Decision decision;
  if (!command.unfit.empty() && worker->state == WorkerState::ready) {
    write_draining(command.worker, command.unfit, decision);
  } else if (command.unfit.empty() && !worker->unfit.empty()) {
    decision.events.emplace_back().mutable_worker_fit()->set_worker(command.worker.value());
  }
  // Attempts that have ended there need no stop: the acknowledgement of their items says that they are late.
  for (const Held& held : command.held) {
    if (!held.running || lease_of(context.state, command.worker, held.fence) != nullptr) continue;
    decision.replies.emplace_back(SendStop{command.worker, held.fence, "lost"});
  }
  return decision;
}

}  // namespace fathom::core
