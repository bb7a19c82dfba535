// What this machine can compute on: `fathom-trainer devices`.
#pragma once

#include <iosfwd>

namespace fathom::trainer {

// The CPU and, where the CUDA module and a driver are there, every GPU. As JSON: an object {devices: [{name, kind,
// threads, model, memory}], note}; `note` says why there are no GPUs. Returns 0.
int print_devices(bool as_json, std::ostream& out);

}  // namespace fathom::trainer
