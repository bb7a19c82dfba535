#include "trainer/packed/arena.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace fathom::trainer::packed {
namespace {

constexpr std::size_t kLine = 16;                     // floats of a cache line
constexpr std::size_t kLeast = std::size_t{1} << 20;  // floats of a block

}  // namespace

void Arena::Free::operator()(float* memory) const { std::free(memory); }

void Arena::add_block(std::size_t size) {
  auto* memory = static_cast<float*>(std::aligned_alloc(kLine * sizeof(float), size * sizeof(float)));
  if (memory == nullptr) throw std::bad_alloc();
  blocks_.push_back({std::unique_ptr<float[], Free>(memory), size});
}

float* Arena::take(std::int64_t count) {
  const auto size = (static_cast<std::size_t>(std::max<std::int64_t>(count, 1)) + kLine - 1) / kLine * kLine;
  while (block_ < blocks_.size() && used_ + size > blocks_[block_].size) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) add_block(std::max(size, kLeast));
  float* piece = blocks_[block_].memory.get() + used_;
  used_ += size;
  return piece;
}

void Arena::rewind(Mark mark) {
  block_ = mark.block;
  used_ = mark.used;
}

void Arena::reset() {
  rewind({});
  if (blocks_.size() < 2) return;
  const auto all = size() / sizeof(float);
  blocks_.clear();
  add_block(all);
}

std::size_t Arena::size() const {
  std::size_t floats = 0;
  for (const auto& block : blocks_) floats += block.size;
  return floats * sizeof(float);
}

}  // namespace fathom::trainer::packed
