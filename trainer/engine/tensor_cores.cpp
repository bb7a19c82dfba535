#include "trainer/engine/tensor_cores.hpp"

#include <ATen/Context.h>
#include <fmt/format.h>

#include "trainer/gpu/gpu_module.hpp"

namespace fathom::trainer {

TensorCores::TensorCores(Precision precision) : before_(at::globalContext().allowTF32CuBLAS()) {
  if (precision == Precision::tf32) at::globalContext().setAllowTF32CuBLAS(true);
}

TensorCores::~TensorCores() { at::globalContext().setAllowTF32CuBLAS(before_); }

void require_precision(Precision precision, const std::string& device) {
  if (precision != Precision::tf32) return;
  std::string error;
  const auto* module = device == "cpu" ? nullptr : open_gpu_module(&error);
  if (module != nullptr) {
    for (const auto& gpu : module->devices(&error))
      if (gpu.name == device && gpu.major >= 8) return;
  }
  throw JobError(
      ErrorClass::config,
      fmt::format("settings: precision is tf32, which {} does not have: it takes a GPU of compute capability "
                  "8.0 or more",
                  device));
}

}  // namespace fathom::trainer
