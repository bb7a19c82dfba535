// The kernels for one instruction set; CMakeLists.txt compiles each kernels_*.cpp with its flags. The includer names
// the table of its kernels in FATHOM_KERNELS and the floats of a vector in FATHOM_LANES. Nothing but plain types is
// included: an inline function of a library compiled here could be the copy that the whole program uses.
#include "trainer/model/dropout_hash.hpp"
#include "trainer/packed/kernels.hpp"

#define FATHOM_TEXT_OF(name) #name
#define FATHOM_TEXT(name) FATHOM_TEXT_OF(name)
#define FATHOM_JOINED_OF(a, b) a##b
#define FATHOM_JOINED(a, b) FATHOM_JOINED_OF(a, b)

namespace fathom::trainer::packed {
namespace {

constexpr int kLanes = FATHOM_LANES;

template <int N>
struct Count {
  static constexpr int value = N;
};

// The vectors first: the others are written in them.
#include "trainer/packed/lanes.inl"
#include "trainer/packed/tiles.inl"

#include "trainer/packed/adamw.inl"
#include "trainer/packed/attention.inl"
#include "trainer/packed/fusion.inl"
#include "trainer/packed/rows.inl"
// After the activations, which it ends in.
#include "trainer/packed/gemm.inl"
#include "trainer/packed/outer.inl"
#if defined(FATHOM_AMX)
#include "trainer/packed/bf16.inl"
#include "trainer/packed/gemm_amx.inl"
constexpr Products kBf16 = {kStrip, packed_floats_amx, pack_amx, product_scratch_amx, product_amx};
#elif defined(FATHOM_BF16)
#include "trainer/packed/bf16.inl"
#include "trainer/packed/gemm_bf16.inl"
#include "trainer/packed/gemm_rounded.inl"
constexpr Products kBf16 = {kPairRows, packed_floats_bf16, pack_bf16, product_scratch_bf16, product_bf16};
constexpr Products kRounded = {kTileRows, packed_floats, pack_rounded, product_scratch_rounded, product_rounded};
#else
constexpr Products kBf16 = {};
#endif

std::int64_t no_scratch(std::int64_t /*k*/) { return 0; }

constexpr Kernels with_bf16(const char* name, const Products& bf16) {
  return {name,      {kTileRows, packed_floats, pack, no_scratch, product},
          bf16,      embed,
          norm,      norm_back,
          activate,  multiply,
          sum_rows,  outer_units,
          outer,     fuse,
          fuse_back, attention_scratch,
          attend,    attend_back,
          adamw};
}

}  // namespace

extern const Kernels FATHOM_JOINED(kernels_, FATHOM_KERNELS);
const Kernels FATHOM_JOINED(kernels_, FATHOM_KERNELS) = with_bf16(FATHOM_TEXT(FATHOM_KERNELS), kBf16);
#if defined(FATHOM_BF16)
extern const Kernels kernels_avx512rounded;
const Kernels kernels_avx512rounded = with_bf16("avx512rounded", kRounded);
#endif

}  // namespace fathom::trainer::packed
