// A member that few of many objects have something in: one pointer, and no memory of its own while nothing is in it.
// Reads as a T that is empty then. Copies are deep, as those of a T. Thread: a plain value. Failure: none.
#pragma once

#include <memory>
#include <utility>

namespace fathom {

template <class T>
class Rare {
 public:
  Rare() = default;
  // A value that equals an empty one takes no memory either.
  Rare(T value) {  // NOLINT: implicit on purpose
    if (!(value == T{})) value_ = std::make_unique<T>(std::move(value));
  }
  Rare(const Rare& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
  Rare(Rare&&) noexcept = default;
  Rare& operator=(Rare other) noexcept {
    value_ = std::move(other.value_);
    return *this;
  }
  ~Rare() = default;

  [[nodiscard]] explicit operator bool() const { return value_ != nullptr; }
  const T& operator*() const { return value_ ? *value_ : none(); }
  const T* operator->() const { return &**this; }
  // To change it: from here on it takes memory, until reset().
  T& edit() {
    if (!value_) value_ = std::make_unique<T>();
    return *value_;
  }
  void reset() { value_.reset(); }
  friend bool operator==(const Rare& one, const Rare& other) { return *one == *other; }

 private:
  static const T& none() {
    static const T kNone{};
    return kNone;
  }

  std::unique_ptr<T> value_;
};

}  // namespace fathom
