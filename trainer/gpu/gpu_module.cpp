// libfathom_gpu.so: compiled only where the CUDA 13 toolkit is, see FATHOM_CUDA.
#include "trainer/gpu/gpu_module.hpp"

#include <cuda_runtime_api.h>
#include <nccl.h>

namespace fathom::trainer {
namespace {

std::vector<GpuDevice> list_devices(std::string* error) {
  int count = 0;
  if (const cudaError_t status = cudaGetDeviceCount(&count); status != cudaSuccess) {
    *error = cudaGetErrorString(status);
    return {};
  }
  std::vector<GpuDevice> found;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    found.push_back(
        {"cuda:" + std::to_string(i), properties.name, properties.totalGlobalMem, properties.major, properties.minor});
  }
  if (found.empty()) *error = "no CUDA device is visible";
  return found;
}

int nccl_version() {
  int version = 0;
  return ncclGetVersion(&version) == ncclSuccess ? version : 0;
}

}  // namespace
}  // namespace fathom::trainer

extern "C" __attribute__((visibility("default"))) const fathom::trainer::GpuEntry fathom_gpu_entry;
extern "C" const fathom::trainer::GpuEntry fathom_gpu_entry = {fathom::trainer::kGpuAbi, &fathom::trainer::list_devices,
                                                               &fathom::trainer::nccl_version};
