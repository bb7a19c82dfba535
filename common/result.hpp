// Result<T>: a value or an Error. Expected failures (bad input, a refused command, an unreachable peer) travel as
// values; exceptions are left for what no caller can handle. Thread: plain values, no sharing.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace fathom {

// What a caller can branch on. The text says what, where and what to do, for a person.
enum class Errc {
  invalid_argument,  // bad input: the sender must change it
  not_found,
  already_exists,
  failed_precondition,  // not now or not in this state
  permission_denied,
  unauthenticated,
  resource_exhausted,  // disk full, limit reached
  unavailable,         // a peer cannot be reached; trying again may help
  corrupt,             // stored bytes are not what was written
  unsupported,         // a newer format, or a feature this build lacks
  internal,
};

struct Error {
  Errc code = Errc::internal;
  std::string message;
};

// [[nodiscard]]: an ignored failure is a bug. Access to value() of a failed Result is a programming error (throws
// std::bad_variant_access).
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit on purpose
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit on purpose

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  [[nodiscard]] const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

// The Result of something that yields nothing: `return success();` or `return Error{…};`.
struct Done {};
using Status = Result<Done>;
inline Status success() { return Done{}; }

}  // namespace fathom

// Returns the error of `expression` from the calling function, or goes on.
#define FATHOM_TRY(expression)                                                           \
  do {                                                                                   \
    if (auto fathom_status = (expression); !fathom_status) return fathom_status.error(); \
  } while (false)
#define FATHOM_CONCAT2(a, b) a##b
#define FATHOM_CONCAT(a, b) FATHOM_CONCAT2(a, b)
// FATHOM_ASSIGN(auto x, f()): x = the value of f(), or returns its error from the calling function.
#define FATHOM_ASSIGN(declaration, expression)                                                          \
  auto FATHOM_CONCAT(fathom_result_, __LINE__) = (expression);                                          \
  if (!FATHOM_CONCAT(fathom_result_, __LINE__)) return FATHOM_CONCAT(fathom_result_, __LINE__).error(); \
  declaration = std::move(FATHOM_CONCAT(fathom_result_, __LINE__)).value()
