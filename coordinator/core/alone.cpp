#include "coordinator/core/alone.hpp"

#include <algorithm>

#include "coordinator/core/machine.hpp"

namespace fathom::core {
namespace {

std::uint32_t busy(const std::vector<FreeDevice>& places) {
  std::uint32_t jobs = 0;
  for (const FreeDevice& place : places) jobs += place.running;
  return jobs;
}

Alone waiting_for(std::vector<FreeDevice> on, std::vector<FreeDevice> kept) {
  const bool ready = !on.empty() && busy(kept) == 0;
  return {std::move(on), std::move(kept), ready};
}

// A CPU's threads as one device if it may be: the device with most of them. Of GPUs the emptiest.
Alone place_on(const State& state, const Sweep& sweep, const Worker& worker, const std::string& kind) {
  const bool whole = kind == "cpu";
  const std::uint32_t others = host_taken(state, worker) ? 1 : 0;  // a lease that is not on the device itself
  std::vector<FreeDevice> all, fit;
  for (std::uint32_t i = 0; i < worker.devices.size(); ++i) {
    const DeviceState& device = worker.devices[i];
    all.push_back({device.running, worker.number, i});
    if (device.device.kind == kind && !device.excluded && computes(sweep, device))
      fit.push_back({device.running + (whole ? 0 : others), worker.number, i});
  }
  if (fit.empty()) return {};
  if (!whole) {
    const FreeDevice emptiest = *std::ranges::min_element(fit);
    return waiting_for({emptiest}, {emptiest});
  }
  const auto most = std::ranges::max_element(fit, {}, [&](const FreeDevice& place) {
    return worker.devices[place.device].device.threads;  // the first of equals
  });
  return waiting_for({*most}, std::move(all));
}

// Times of one machine are compared with each other only: the worker that has measured others of the sweep on this
// class of devices measures this one too, as long as it is there. nullptr: any may.
const Worker* measured_by(const State& state, const Sweep& sweep, const std::string& kind) {
  for (const sweeps::Stage& stage : sweep.plan->stages) {
    if (stage.kind != sweeps::Kind::benchmark) continue;
    for (sweeps::JobIndex i = stage.first; i < stage.first + stage.count; ++i) {
      const Job& other = *state.job(JobNumber(sweep.first.value() + i));
      if (other.attempt == 0 || measured_on(sweep.plan->jobs[i]) != kind) continue;
      const Worker* worker = state.worker(other.worker);
      if (worker != nullptr && worker->state == WorkerState::ready && !place_on(state, sweep, *worker, kind).on.empty())
        return worker;
    }
  }
  return nullptr;
}

Alone measuring_place(const State& state, const Sweep& sweep, const sweeps::Job& planned) {
  const std::string kind = measured_on(planned);
  if (const Worker* known = measured_by(state, sweep, kind)) return place_on(state, sweep, *known, kind);
  Alone best;
  for (const Worker& worker : state.workers) {
    if (worker.state != WorkerState::ready) continue;
    Alone here = place_on(state, sweep, worker, kind);
    if (!here.on.empty() && (best.on.empty() || busy(here.kept) < busy(best.kept))) best = std::move(here);
  }
  return best;
}

}  // namespace

std::string measured_on(const sweeps::Job& planned) {
  if (planned.kind != sweeps::Kind::benchmark) return "";
  const nlohmann::json* found = planned.parameters.find("benchmark.device");
  return found != nullptr && found->is_string() ? found->get<std::string>() : "";
}

bool takes_host(const State& state, const Lease& lease) {
  return lease.alone && measured_on(state.planned(*state.job(lease.fence.job))) == "cpu";
}

bool host_taken(const State& state, const Worker& worker) {
  // Whoever has the host has one of its devices alone; most workers have none such.
  if (std::ranges::none_of(worker.devices, [](const DeviceState& device) { return device.alone; })) return false;
  return std::ranges::any_of(worker.leases, [&](LeaseId id) { return takes_host(state, state.leases.at(id)); });
}

Alone places_alone(const State& state, const Sweep& sweep, sweeps::JobIndex index) {
  const sweeps::Job& planned = sweep.plan->jobs[index];
  if (!measured_on(planned).empty()) return measuring_place(state, sweep, planned);
  const std::uint32_t ranks = ranks_of(state, *state.job(JobNumber(sweep.first.value() + index)));
  std::vector<FreeDevice> on;
  if (ranks > 1) {
    on = gang_places(state, sweep, ranks);
  } else {
    const auto first = std::ranges::find_if(state.free.all, [&](const FreeDevice& place) {
      return computes(sweep, state.worker(place.worker)->devices[place.device]);
    });
    if (first != state.free.all.end()) on = {*first};
  }
  std::vector<FreeDevice> kept = on;
  return waiting_for(std::move(on), std::move(kept));
}

std::optional<std::pair<sweeps::JobIndex, Alone>> first_alone(const State& state, const Sweep& sweep) {
  const std::vector<sweeps::Job>& jobs = sweep.plan->jobs;
  for (auto at = sweep.ready_alone.begin(); at != sweep.ready_alone.end();) {
    Alone places = places_alone(state, sweep, *at);
    if (!places.on.empty()) return std::make_pair(*at, std::move(places));
    // All of the stage want the same, but for benchmarks of another class of devices.
    const sweeps::Stage& stage = sweep.plan->stages[jobs[*at].stage];
    const std::string kind = measured_on(jobs[*at]);
    if (kind.empty()) {
      at = sweep.ready_alone.lower_bound(stage.first + stage.count);
      continue;
    }
    while (at != sweep.ready_alone.end() && *at < stage.first + stage.count && measured_on(jobs[*at]) == kind) ++at;
  }
  return std::nullopt;
}

}  // namespace fathom::core
