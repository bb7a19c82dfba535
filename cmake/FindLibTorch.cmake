# LibTorch as imported targets, out of the pinned torch wheel unpacked by deploy/install-deps.
#   LibTorch::cpu   what a CPU program needs: libtorch_cpu, libc10
#   LibTorch::cuda  in addition libtorch_cuda and the CUDA runtime (FATHOM_CUDA)
# find_package(Torch) is not used: as served it wants CUDA for every program.
set(LIBTORCH_ROOT "$ENV{LIBTORCH_ROOT}" CACHE PATH "Folder that holds torch/ (and nvidia/, if any)")
if(NOT LIBTORCH_ROOT)
  file(GLOB _roots "$ENV{HOME}/.cache/fathom/torch-2.11.0")
  set(LIBTORCH_ROOT "${_roots}" CACHE PATH "" FORCE)
endif()
set(_torch "${LIBTORCH_ROOT}/torch")
if(NOT EXISTS "${_torch}/lib/libtorch_cpu.so")
  message(FATAL_ERROR "LibTorch not found: no torch/lib/libtorch_cpu.so under LIBTORCH_ROOT='${LIBTORCH_ROOT}'. Run deploy/install-deps, "
    "or configure with -DFATHOM_TRAINER=OFF to build without the trainer.")
endif()
foreach(_lib c10 torch_cpu)
  add_library(LibTorch::${_lib} SHARED IMPORTED)
  set_target_properties(LibTorch::${_lib} PROPERTIES IMPORTED_LOCATION "${_torch}/lib/lib${_lib}.so"
    INTERFACE_INCLUDE_DIRECTORIES "${_torch}/include;${_torch}/include/torch/csrc/api/include")
endforeach()
add_library(LibTorch::cpu INTERFACE IMPORTED)
# LibTorch's own OpenMP runtime, so that a process has one.
file(GLOB _openmp "${_torch}/lib/libgomp*.so*")
target_link_libraries(LibTorch::cpu INTERFACE LibTorch::torch_cpu LibTorch::c10 "${_openmp}" Threads::Threads)
# Kernels register themselves: the library must stay linked though no symbol of it is named. It needs libcudart and
# libcupti to load, which the linker must not ask for.
target_link_options(LibTorch::cpu INTERFACE "LINKER:--no-as-needed" "LINKER:--allow-shlib-undefined")
if(FATHOM_CUDA)
  find_package(CUDAToolkit 13.0 REQUIRED)
  foreach(_lib c10_cuda torch_cuda)
    add_library(LibTorch::${_lib} SHARED IMPORTED)
    set_target_properties(LibTorch::${_lib} PROPERTIES IMPORTED_LOCATION "${_torch}/lib/lib${_lib}.so")
  endforeach()
  add_library(LibTorch::cuda INTERFACE IMPORTED)
  target_link_libraries(LibTorch::cuda INTERFACE LibTorch::cpu LibTorch::torch_cuda LibTorch::c10_cuda CUDA::cudart)
endif()
