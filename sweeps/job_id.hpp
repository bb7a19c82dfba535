// The id of a job: the first 8 bytes of the SHA-256 of its canonical settings (rule 20), as 16 hex digits wherever
// people or programs see it. Equal on every machine. Thread: plain values.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace fathom::sweeps {

class JobId {
 public:
  // None: of jobs of a plan without identities.
  constexpr JobId() = default;
  constexpr explicit JobId(std::uint64_t value) : value_(value) {}
  // Of the text that is hashed.
  static JobId of(std::string_view canonical);
  // Nothing where `hex` is not 16 lower-case hex digits.
  static std::optional<JobId> from(std::string_view hex);

  [[nodiscard]] constexpr std::uint64_t value() const { return value_; }
  [[nodiscard]] std::string text() const;  // 16 lower-case hex digits
  constexpr auto operator<=>(const JobId&) const = default;

 private:
  std::uint64_t value_ = 0;
};

template <class Json>
void to_json(Json& out, const JobId& id) {
  out = id.text();
}

}  // namespace fathom::sweeps

template <>
struct std::hash<fathom::sweeps::JobId> {
  using is_avalanching = void;  // of a SHA-256: no bit of it needs more mixing
  std::size_t operator()(const fathom::sweeps::JobId& id) const noexcept { return id.value(); }
};
