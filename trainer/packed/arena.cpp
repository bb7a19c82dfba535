#include "trainer/packed/arena.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace fathom::trainer::packed {
namespace {

constexpr std::size_t kLine = 16;                     // floats of a cache line
constexpr std::size_t kLeast = std::size_t{1} << 20;  // floats of a block
constexpr std::size_t kPage = std::size_t{2} << 20;   // bytes of a large page

}  // namespace

void Arena::Free::operator()(float* memory) const { std::free(memory); }

void Arena::add_block(std::size_t size) {
  const std::size_t bytes = (size * sizeof(float) + kPage - 1) / kPage * kPage;
  auto* memory = static_cast<float*>(std::aligned_alloc(kPage, bytes));
  if (memory == nullptr) throw std::bad_alloc();
  // Large pages where the system has them: hundreds of megabytes are touched for the first time, and then by columns.
  ::madvise(memory, bytes, MADV_HUGEPAGE);
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
  // More than was needed: a batch that is a little larger than all before would else move everything to fresh memory.
  // What is never touched costs nothing.
  const auto all = size() / sizeof(float) / kLine * kLine;
  blocks_.clear();
  add_block(all + all / 4 / kLine * kLine);
}

std::size_t Arena::size() const {
  std::size_t floats = 0;
  for (const auto& block : blocks_) floats += block.size;
  return floats * sizeof(float);
}

}  // namespace fathom::trainer::packed
