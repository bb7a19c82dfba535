// Opens libfathom_gpu.so at run time; without it the trainer is a CPU program.
#include "trainer/gpu/gpu_module.hpp"
#include "trainer/parallel/module.hpp"

namespace fathom::trainer {

const GpuEntry* open_gpu_module(std::string* error) {
  // libtorch_cuda comes with it and registers its kernels with the libtorch_cpu that is loaded already.
  const auto* entry = open_table<GpuEntry>("fathom_gpu", "fathom_gpu_entry", kGpuAbi, error);
  if (entry == nullptr && error->ends_with("is not there")) *error += " (built by the preset 'cuda')";
  return entry;
}

}  // namespace fathom::trainer
