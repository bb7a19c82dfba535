// The kernels for one instruction set; CMakeLists.txt compiles this file with its flags. Nothing but plain types is
// included: an inline function of a library compiled here could be the copy that the whole program uses.
#include "trainer/model/dropout_hash.hpp"
#include "trainer/packed/kernels.hpp"

namespace fathom::trainer::packed {
namespace {

constexpr int kLanes = 4;

template <int N>
struct Count {
  static constexpr int value = N;
};

// The vectors first: the others are written in them.
#include "trainer/packed/lanes.inl"

#include "trainer/packed/attention.inl"
#include "trainer/packed/fusion.inl"
#include "trainer/packed/rows.inl"

}  // namespace

extern const Kernels kernels_plain;
const Kernels kernels_plain = {"plain",           embed,  norm,       norm_back, activate, multiply, fuse, fuse_back,
                               attention_scratch, attend, attend_back};

}  // namespace fathom::trainer::packed
