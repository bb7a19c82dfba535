#include "common/small_text.hpp"

#include <atomic>
#include <cstdint>

namespace fathom {

struct SmallText::Shared {
  std::string text;
  std::atomic<std::uint32_t> uses = 1;
};

SmallText::SmallText(std::string text) {
  if (!text.empty()) shared_ = new Shared{std::move(text)};
}

SmallText::SmallText(const SmallText& other) noexcept : shared_(other.shared_) {
  if (shared_ != nullptr) shared_->uses.fetch_add(1, std::memory_order_relaxed);
}

SmallText::~SmallText() {
  if (shared_ != nullptr && shared_->uses.fetch_sub(1, std::memory_order_acq_rel) == 1) delete shared_;
}

const std::string& SmallText::str() const {
  static const std::string kEmpty;
  return shared_ == nullptr ? kEmpty : shared_->text;
}

}  // namespace fathom
