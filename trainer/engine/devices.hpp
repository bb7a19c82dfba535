// What this machine can compute on: `fathom-trainer devices`.
#pragma once

#include <iosfwd>
#include <string>

#include "common/result.hpp"

namespace fathom::trainer {

// The CPU and, where the CUDA module and a driver are there, every GPU. As JSON: an object {devices: [{name, kind,
// threads, model, memory, bf16}], note}; `note` says why there are no GPUs. measure: without a GPU also how the cores
// are best shared among trainers, the best way first: {splits: [{trainers, threads, rows_per_s}]}; that takes about a
// second. Returns 0.
int print_devices(bool as_json, bool measure, std::ostream& out);

// Whether "cpu" or "cuda:N" can be computed on; opens the CUDA module for the latter. unsupported: there is no such
// GPU, or no driver, or no module.
Status require_device(const std::string& device);

// Of "cuda:0,cuda:1" the one for a rank (ranks take turns where they are more); one name is everybody's.
std::string device_of_rank(const std::string& devices, int rank);

}  // namespace fathom::trainer
