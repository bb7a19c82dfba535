#include "trainer/packed/kernels.hpp"

#include <cstdlib>
#include <cstring>

namespace fathom::trainer::packed {

extern const Kernels kernels_plain;
#if defined(__x86_64__)
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;
extern const Kernels kernels_avx512bf16;
#endif

namespace {

struct Present {
  const Kernels* list[4] = {};
  int count = 0;
  Present() {
    list[count++] = &kernels_plain;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) list[count++] = &kernels_avx2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
      list[count++] = &kernels_avx512;
      if (__builtin_cpu_supports("avx512bf16")) list[count++] = &kernels_avx512bf16;
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
