// Opens libfathom_gpu.so at run time; without it the trainer is a CPU program.
#include <dlfcn.h>

#include <filesystem>

#include "trainer/gpu/gpu_module.hpp"

namespace fathom::trainer {

const GpuEntry* open_gpu_module(std::string* error) {
  std::error_code failed;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", failed);
  const std::string path = (program.parent_path() / "libfathom_gpu.so").string();
  if (failed || !std::filesystem::exists(path, failed)) {
    *error = "the CUDA module " + path + " is not there (built by the preset 'cuda')";
    return nullptr;
  }
  // Global: libtorch_cuda registers its kernels with the libtorch_cpu that is loaded already. Never closed.
  void* module = ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (module == nullptr) {
    *error = ::dlerror();
    return nullptr;
  }
  const auto* entry = static_cast<const GpuEntry*>(::dlsym(module, "fathom_gpu_entry"));
  if (entry == nullptr || entry->abi != kGpuAbi) {
    *error = path + " belongs to another version of fathom-trainer: build both anew";
    return nullptr;
  }
  return entry;
}

}  // namespace fathom::trainer
