// The door to everything that touches CUDA. libfathom_gpu.so is one module library beside fathom-trainer, opened with
// dlopen where it is there: the same trainer program runs on a host without a GPU or a CUDA driver. Opening it also
// brings libtorch_cuda into the process, so that tensors on "cuda:N" work afterwards.
// Thread: open_gpu_module() once, before threads start; the functions may then be called from any thread.
#pragma once

#include <string>
#include <vector>

#include <cstdint>

namespace fathom::trainer {

struct GpuDevice {
  std::string name;          // "cuda:0"
  std::string model;         // "NVIDIA H100 80GB HBM3"
  std::uint64_t memory = 0;  // bytes
  int major = 0, minor = 0;  // compute capability
};

// What the module exports under the C name "fathom_gpu_entry". `abi` must equal kGpuAbi.
inline constexpr int kGpuAbi = 1;
struct GpuEntry {
  int abi;
  // The visible devices; an empty list and the runtime's words in *error when there is no driver or no device.
  std::vector<GpuDevice> (*devices)(std::string* error);
  // Version of the NCCL library that moves gradients between ranks, e.g. 22809; 0 when it cannot be asked.
  int (*nccl_version)();
};

// The module beside the running program, or nullptr with the reason (no module, a missing CUDA library) in *error.
const GpuEntry* open_gpu_module(std::string* error);

}  // namespace fathom::trainer
