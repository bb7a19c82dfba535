#include "coordinator/core/run_ahead.hpp"

#include <algorithm>

#include "coordinator/core/machine.hpp"
#include "coordinator/core/searches.hpp"

namespace fathom::core {
namespace {

constexpr std::int64_t kWeight = 8;

// Jobs that may wait on the device while one takes so long.
std::uint32_t most_ahead(const Device& device, std::int64_t took_us) {
  const std::int64_t jobs = device.slots * kAheadWorkUs / std::max<std::int64_t>(took_us, 1);
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(jobs, 1, device.ahead));
}

}  // namespace

const FreeDevice* place_ahead(const State& state, const Sweep& sweep, sweeps::JobIndex index) {
  const std::int64_t took = sweep.took_us[sweep.plan->jobs[index].stage];
  if (took < 0 || took > kAheadLongestUs) return nullptr;
  // Towards a sweep's end every job that waits behind another may keep a slot elsewhere idle.
  if (sweep.ready.size() <= state.leases.size()) return nullptr;
  // What is drawn at a job's start is drawn with all that is known by then.
  if (awaits_point(sweep, index)) return nullptr;
  for (const FreeDevice& place : state.free.ahead) {
    const DeviceState& device = state.worker(place.worker)->devices[place.device];
    if (!computes(sweep, device)) continue;
    return place.running < most_ahead(device.device, took) ? &place : nullptr;  // fewer wait nowhere
  }
  return nullptr;
}

void count_time(Sweep& sweep, const Job& job, std::int64_t ended_wall_ms) {
  const std::int64_t started = job.progress->started_ms;
  if (started == 0 || ended_wall_ms < started) return;  // it never started, or the clock was set back
  std::int64_t& took = sweep.took_us[sweep.plan->jobs[job.index].stage];
  const std::int64_t now = (ended_wall_ms - started) * 1000;
  took = took < 0 ? now : (took * (kWeight - 1) + now) / kWeight;
}

bool waits_ahead(const State& state, const Job& job) {
  const auto lease = state.leases.find(job.lease);
  if (phase_of(job) != Phase::leased || lease == state.leases.end()) return false;
  return std::ranges::any_of(lease->second.devices, [&](std::uint32_t place) {
    const DeviceState& device = state.worker(lease->second.worker)->devices[place];
    return device.running > device.device.slots;
  });
}

}  // namespace fathom::core
