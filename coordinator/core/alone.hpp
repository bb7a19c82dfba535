// Jobs that share with nobody: suspects of a crash their device, gangs several, benchmarks their device; and what is
// measured on a CPU its whole host, because everything else there takes part of its time. Pure; thread: the core's
// strand.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "coordinator/core/state.hpp"

namespace fathom::core {

// Where such a job goes.
struct Alone {
  std::vector<FreeDevice> on;    // the devices that it takes; empty: no ready worker has any for it
  std::vector<FreeDevice> kept;  // what is given to nobody else until all of it is empty; `on` is part of it
  bool ready = false;            // it is
};
Alone places_alone(const State& state, const Sweep& sweep, sweeps::JobIndex index);

// The first job of the sweep's queue of such jobs for which there is a place, so that one that waits for a kind of
// worker that is not there holds up no other. Nothing: there is none.
std::optional<std::pair<sweeps::JobIndex, Alone>> first_alone(const State& state, const Sweep& sweep);

// The class of devices ("cpu", "cuda") that a benchmark is measured on; empty: no benchmark, or of any class.
std::string measured_on(const sweeps::Job& planned);
// A job with this lease has its worker's whole host.
bool takes_host(const State& state, const Lease& lease);
bool host_taken(const State& state, const Worker& worker);

}  // namespace fathom::core
