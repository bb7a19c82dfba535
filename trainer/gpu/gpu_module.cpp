// libfathom_gpu.so: compiled only where the CUDA 13 toolkit is, see FATHOM_CUDA.
#include "trainer/gpu/gpu_module.hpp"

#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstring>

#include "trainer/gpu/mask.hpp"

namespace fathom::trainer {
namespace {

static_assert(sizeof(NcclId) == sizeof(ncclUniqueId));

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

std::string fill_mask(const at::Tensor& mask, const MaskShape& shape, const MaskDraw& draw) {
  const c10::cuda::CUDAGuard guard(mask.device());
  const auto stream = c10::cuda::getCurrentCUDAStream(mask.device().index());
  if (mask.scalar_type() == at::kDouble)
    launch_mask(mask.mutable_data_ptr<double>(), mask.numel(), shape, draw, stream);
  else
    launch_mask(mask.mutable_data_ptr<float>(), mask.numel(), shape, draw, stream);
  const cudaError_t status = cudaGetLastError();
  return status == cudaSuccess ? std::string() : cudaGetErrorString(status);
}

int nccl_version() {
  int version = 0;
  return ncclGetVersion(&version) == ncclSuccess ? version : 0;
}

std::string words(ncclResult_t result) {
  return result == ncclSuccess ? std::string() : std::string("NCCL: ") + ncclGetErrorString(result);
}

std::string nccl_id(NcclId* id) {
  // Compiled against one version and loaded with another, it would go wrong later and further away.
  if (nccl_version() != NCCL_VERSION_CODE)
    return "NCCL: version " + std::to_string(nccl_version()) + " is loaded, " + std::to_string(NCCL_VERSION_CODE) +
           " was built with";
  ncclUniqueId made{};
  const auto failure = words(ncclGetUniqueId(&made));
  std::memcpy(id->data(), &made, sizeof made);
  return failure;
}

std::string nccl_open(const NcclId& id, int rank, int ranks, int device, void** communicator) {
  const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
  ncclUniqueId name{};
  std::memcpy(&name, id.data(), sizeof name);
  ncclComm_t opened = nullptr;
  const auto failure = words(ncclCommInitRank(&opened, ranks, name, rank));
  *communicator = opened;
  return failure;
}

std::string nccl_sum(void* communicator, const at::Tensor& values) {
  const c10::cuda::CUDAGuard guard(values.device());
  const auto stream = c10::cuda::getCurrentCUDAStream(values.device().index());
  const auto type = values.scalar_type() == at::kDouble ? ncclFloat64 : ncclFloat32;
  auto* comm = static_cast<ncclComm_t>(communicator);
  void* data = values.mutable_data_ptr();
  const auto failure =
      words(ncclAllReduce(data, data, static_cast<std::size_t>(values.numel()), type, ncclSum, comm, stream));
  if (!failure.empty()) return failure;
  ncclResult_t state = ncclSuccess;
  const auto asked = words(ncclCommGetAsyncError(comm, &state));
  return asked.empty() ? words(state) : asked;
}

void nccl_close(void* communicator) { ncclCommDestroy(static_cast<ncclComm_t>(communicator)); }

}  // namespace
}  // namespace fathom::trainer

extern "C" __attribute__((visibility("default"))) const fathom::trainer::GpuEntry fathom_gpu_entry;
extern "C" const fathom::trainer::GpuEntry fathom_gpu_entry = {
    fathom::trainer::kGpuAbi,       &fathom::trainer::list_devices, &fathom::trainer::fill_mask,
    &fathom::trainer::nccl_version, &fathom::trainer::nccl_id,      &fathom::trainer::nccl_open,
    &fathom::trainer::nccl_sum,     &fathom::trainer::nccl_close};
