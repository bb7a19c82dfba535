// The CUDA side of counter-based dropout: the same hash as on the CPU, one thread an element.
#include "trainer/gpu/mask.hpp"

namespace fathom::trainer {
namespace {

constexpr int kThreads = 256;
constexpr long long kMostBlocks = 65535;  // the rest by striding

template <class T>
__global__ void fill(T* mask, long long count, MaskShape shape, MaskDraw draw, T kept) {
  const long long step = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) {
    const long long line = i / shape.last, j = i % shape.last;
    const long long b = line % shape.b, a = line / shape.b % shape.a, row = line / shape.b / shape.a;
    const std::uint64_t key =
        dropout_hash::line_key(draw.base, static_cast<std::uint64_t>(draw.first_row + row), static_cast<std::uint64_t>(a),
                               static_cast<std::uint64_t>(b));
    const std::uint32_t bits = dropout_hash::bits(static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32),
                                                  static_cast<std::uint32_t>(j));
    mask[i] = bits >= draw.threshold ? kept : T{0};
  }
}

template <class T>
void launch(T* mask, long long count, const MaskShape& shape, const MaskDraw& draw, cudaStream_t stream) {
  if (count == 0) return;
  const long long wanted = (count + kThreads - 1) / kThreads;
  const int blocks = static_cast<int>(wanted < kMostBlocks ? wanted : kMostBlocks);
  fill<<<blocks, kThreads, 0, stream>>>(mask, count, shape, draw, static_cast<T>(draw.kept));
}

}  // namespace

void launch_mask(float* mask, long long count, const MaskShape& shape, const MaskDraw& draw, cudaStream_t stream) {
  launch(mask, count, shape, draw, stream);
}
void launch_mask(double* mask, long long count, const MaskShape& shape, const MaskDraw& draw, cudaStream_t stream) {
  launch(mask, count, shape, draw, stream);
}

}  // namespace fathom::trainer
