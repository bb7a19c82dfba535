// The door to everything that touches CUDA. libfathom_gpu.so is one module library beside fathom-trainer, opened with
// dlopen where it is there: the same trainer program runs on a host without a GPU or a CUDA driver. Opening it also
// brings libtorch_cuda into the process, so that tensors on "cuda:N" work afterwards.
// Thread: open_gpu_module() first before threads start; the functions may then be called from any thread, those of one
// communicator from one.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "trainer/model/dropout_hash.hpp"

namespace fathom::trainer {

struct GpuDevice {
  std::string name;          // "cuda:0"
  std::string model;         // "NVIDIA H100 80GB HBM3"
  std::uint64_t memory = 0;  // bytes
  int major = 0, minor = 0;  // compute capability
};

using NcclId = std::array<char, 128>;  // names a communicator; made by one rank, given to all

// What the module exports under the C name "fathom_gpu_entry". `abi` must equal kGpuAbi. Texts: what the library says
// about a failure, empty when there was none.
inline constexpr int kGpuAbi = 2;
struct GpuEntry {
  int abi;
  // The visible devices; an empty list and the runtime's words in *error when there is no driver or no device.
  std::vector<GpuDevice> (*devices)(std::string* error);
  // Fills a contiguous float32 or float64 tensor on a GPU, in the order of its current stream.
  std::string (*fill_mask)(const at::Tensor& mask, const MaskShape& shape, const MaskDraw& draw);
  // Version of the NCCL library that moves gradients between ranks, e.g. 22809; 0 when it cannot be asked.
  int (*nccl_version)();
  std::string (*nccl_id)(NcclId* id);
  // Joins a communicator on a device; waits for all ranks. *communicator is closed by its owner.
  std::string (*nccl_open)(const NcclId& id, int rank, int ranks, int device, void** communicator);
  // In-place sum over all ranks of a contiguous float32 or float64 tensor on that device, in the order of its stream.
  std::string (*nccl_sum)(void* communicator, const at::Tensor& values);
  void (*nccl_close)(void* communicator);
};

// The module beside the running program, or nullptr with the reason (no module, a missing CUDA library) in *error.
const GpuEntry* open_gpu_module(std::string* error);

}  // namespace fathom::trainer
