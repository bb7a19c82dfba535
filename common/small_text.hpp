// A text that is empty or said of many alike: one pointer, shared by its copies, and no memory while it is empty. It
// never changes. Thread: a plain value; copies may be read and dropped by several threads. Failure: none.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace fathom {

class SmallText {
 public:
  SmallText() = default;
  SmallText(std::string_view text);                                          // NOLINT: implicit on purpose
  SmallText(const std::string& text) : SmallText(std::string_view(text)) {}  // NOLINT: implicit on purpose
  SmallText(const char* text) : SmallText(std::string_view(text)) {}         // NOLINT: implicit on purpose
  SmallText(const SmallText& other) noexcept;
  SmallText(SmallText&& other) noexcept : shared_(std::exchange(other.shared_, nullptr)) {}
  SmallText& operator=(SmallText other) noexcept {
    std::swap(shared_, other.shared_);
    return *this;
  }
  ~SmallText();

  [[nodiscard]] bool empty() const { return shared_ == nullptr; }
  [[nodiscard]] std::string_view view() const;  // for as long as this or a copy is there
  [[nodiscard]] std::string str() const { return std::string(view()); }
  friend bool operator==(const SmallText& one, std::string_view other) { return one.view() == other; }

  // For hash tables of texts that are asked for any kind of text.
  struct Hash {
    using is_transparent = void;
    template <class Any>
    std::size_t operator()(const Any& text) const {
      return std::hash<std::string_view>()(view_of(text));
    }
  };
  struct Equal {
    using is_transparent = void;
    template <class One, class Other>
    bool operator()(const One& one, const Other& other) const {
      return view_of(one) == view_of(other);
    }
  };

 private:
  static std::string_view view_of(const SmallText& text) { return text.view(); }
  static std::string_view view_of(const std::string& text) { return text; }
  struct Shared;  // a count of copies, and the characters
  Shared* shared_ = nullptr;
};

}  // namespace fathom
