// A double or none in eight bytes: half of a std::optional, for what there is one of per job. One NaN that no
// computation makes stands for none; every other value, NaN or not, is kept bit by bit. Thread: a plain value.
// Failure: none.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>

namespace fathom {

class MaybeDouble {
 public:
  MaybeDouble() = default;
  MaybeDouble(double value) : bits_(std::bit_cast<std::uint64_t>(value)) {}  // NOLINT: implicit on purpose
  MaybeDouble(const std::optional<double>& value) {                          // NOLINT: implicit on purpose
    if (value) *this = *value;
  }

  [[nodiscard]] bool has_value() const { return bits_ != kNone; }
  explicit operator bool() const { return has_value(); }
  double operator*() const { return std::bit_cast<double>(bits_); }  // there must be one
  [[nodiscard]] double value_or(double other) const { return has_value() ? **this : other; }
  operator std::optional<double>() const {  // NOLINT: implicit on purpose
    return has_value() ? std::optional(**this) : std::nullopt;
  }
  void reset() { bits_ = kNone; }
  // As an optional: none is equal to none.
  friend bool operator==(const MaybeDouble& one, const MaybeDouble& other) {
    return one.has_value() == other.has_value() && (!one.has_value() || *one == *other);
  }

 private:
  static constexpr std::uint64_t kNone = 0x7ff8'4e6f'6e65'0000;  // a quiet NaN with a payload of its own
  std::uint64_t bits_ = kNone;
};

}  // namespace fathom
