#include "common/small_text.hpp"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>

namespace fathom {

// The characters follow it in the same piece of memory.
struct SmallText::Shared {
  std::atomic<std::uint32_t> uses = 1;
  std::uint32_t size = 0;

  char* characters() { return reinterpret_cast<char*>(this + 1); }
};

SmallText::SmallText(std::string_view text) {
  if (text.empty()) return;
  shared_ = new (::operator new(sizeof(Shared) + text.size())) Shared;
  shared_->size = static_cast<std::uint32_t>(text.size());
  std::memcpy(shared_->characters(), text.data(), text.size());
}

SmallText::SmallText(const SmallText& other) noexcept : shared_(other.shared_) {
  if (shared_ != nullptr) shared_->uses.fetch_add(1, std::memory_order_relaxed);
}

SmallText::~SmallText() {
  if (shared_ == nullptr || shared_->uses.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  shared_->~Shared();
  ::operator delete(shared_);
}

std::string_view SmallText::view() const {
  return shared_ == nullptr ? std::string_view() : std::string_view(shared_->characters(), shared_->size);
}

}  // namespace fathom
