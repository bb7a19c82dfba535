// A text that is empty or said of many alike: one pointer, shared by its copies, and no memory while it is empty. It
// never changes. Thread: a plain value; copies may be read and dropped by several threads. Failure: none but memory.
#pragma once

#include <cstddef>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace fathom {

class SmallText {
 public:
  SmallText() = default;
  // NOLINTBEGIN(google-explicit-constructor): it is a text, and goes where texts go.
  SmallText(std::string text);
  SmallText(std::string_view text) : SmallText(std::string(text)) {}
  SmallText(const char* text) : SmallText(std::string(text)) {}
  operator const std::string&() const { return str(); }
  // NOLINTEND(google-explicit-constructor)
  SmallText(const SmallText& other) noexcept;
  SmallText(SmallText&& other) noexcept : shared_(std::exchange(other.shared_, nullptr)) {}
  SmallText& operator=(SmallText other) noexcept {
    std::swap(shared_, other.shared_);
    return *this;
  }
  ~SmallText();

  [[nodiscard]] bool empty() const { return shared_ == nullptr; }
  // For as long as this or a copy is there.
  [[nodiscard]] const std::string& str() const;
  [[nodiscard]] std::string_view view() const { return str(); }

  friend bool operator==(const SmallText& one, const SmallText& other) {
    return one.shared_ == other.shared_ || one.view() == other.view();
  }
  friend bool operator==(const SmallText& one, std::string_view other) { return one.view() == other; }
  friend bool operator==(const SmallText& one, const std::string& other) { return one.str() == other; }
  friend bool operator==(const SmallText& one, const char* other) { return one.view() == other; }
  friend std::string operator+(const SmallText& one, std::string_view other) {
    return std::string(one.str()).append(other);
  }
  friend std::string operator+(const std::string& one, const SmallText& other) { return one + other.str(); }
  friend std::string operator+(const char* one, const SmallText& other) { return one + other.str(); }
  friend std::ostream& operator<<(std::ostream& out, const SmallText& text) { return out << text.str(); }

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
  struct Shared;  // a count of copies, and the text
  Shared* shared_ = nullptr;
};

}  // namespace fathom
