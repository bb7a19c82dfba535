#include "trainer/packed/kernels.hpp"

#if defined(__x86_64__)
#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <cstdlib>
#include <cstring>

namespace fathom::trainer::packed {

extern const Kernels kernels_plain;
#if defined(__x86_64__)
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
extern const Kernels kernels_avx512bf16;
extern const Kernels kernels_avx512rounded;
extern const Kernels kernels_amx;
#endif

namespace {

#if defined(__x86_64__)
// Linux keeps the tiles of a thread only in processes that have asked for it, once for all threads.
bool tiles_granted() {
  constexpr int kTileData = 18;  // number of the tiles' state in the processor
  return __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
         ::syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, kTileData) == 0;
}
#endif

struct Present {
  const Kernels* list[6] = {};
  int count = 0;
  Present() {
    list[count++] = &kernels_plain;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) list[count++] = &kernels_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
      list[count++] = &kernels_avx512;
      if (__builtin_cpu_supports("avx512bf16")) {
        // Intel's have one unit for dot products of bfloat16 and two for float32.
        const bool by_dots = __builtin_cpu_is("intel") == 0;
        list[count++] = by_dots ? &kernels_avx512rounded : &kernels_avx512bf16;
        list[count++] = by_dots ? &kernels_avx512bf16 : &kernels_avx512rounded;
        if (tiles_granted()) list[count++] = &kernels_amx;
      }
    }
#endif
  }
};

const Present& present() {
  static const Present found;
  return found;
}

const Kernels& chosen() {
  const auto& all = present();
  const char* wanted = std::getenv("FATHOM_KERNELS");
  for (int i = 0; wanted != nullptr && i < all.count; ++i) {
    if (std::strcmp(all.list[i]->name, wanted) == 0) return *all.list[i];
  }
  return *all.list[all.count - 1];
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& widest = chosen();
  return widest;
}

const Kernels* const* all_kernels(int* count) {
  *count = present().count;
  return present().list;
}

}  // namespace fathom::trainer::packed
