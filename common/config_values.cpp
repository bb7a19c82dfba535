#include "common/config_values.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace fathom {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};
constexpr Unit kTimes[] = {{"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}};
constexpr Unit kSizes[] = {
    {"B", 1}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"TiB", 1099511627776.0}};

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

// "1.5h" by the units; nullopt: no number, no such unit, negative or beyond 2^53, where doubles have gaps.
template <std::size_t N>
std::optional<double> with_unit(std::string_view text, const Unit (&units)[N], bool bare) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::optional<double> value = number(text.substr(0, digits));
  const std::string_view name = text.substr(digits);
  if (!value || digits == 0) return std::nullopt;
  double factor = bare || *value == 0 ? 1 : 0;
  if (!name.empty()) {
    const auto unit = std::find_if(std::begin(units), std::end(units), [&](const Unit& u) { return u.name == name; });
    if (unit == std::end(units)) return std::nullopt;
    factor = unit->factor;
  }
  if ((factor == 0 && *value != 0) || *value * factor > 9007199254740992.0) return std::nullopt;
  return std::round(*value * factor);
}

// The largest unit that divides the value: 90000 is 90s, not 1.5m.
template <std::size_t N>
std::string show_unit(std::uint64_t value, const Unit (&units)[N]) {
  for (std::size_t i = N; i-- > 0;) {
    const auto factor = static_cast<std::uint64_t>(units[i].factor);
    if (value != 0 && value % factor == 0) return fmt::format("{}{}", value / factor, units[i].name);
  }
  return fmt::format("{}{}", value, units[0].name);
}

}  // namespace

Result<Millis> parse_duration(std::string_view text) {
  if (const auto value = with_unit(text, kTimes, false)) return Millis(static_cast<std::int64_t>(*value));
  return Error{Errc::invalid_argument,
               fmt::format("\"{}\": expected a duration such as 500ms, 2s, 30m, 6h or 1d", text)};
}

Result<Bytes> parse_bytes(std::string_view text) {
  if (const auto value = with_unit(text, kSizes, true)) return Bytes{static_cast<std::uint64_t>(*value)};
  return Error{Errc::invalid_argument, fmt::format("\"{}\": expected a size such as 4096, 64KiB, 4MiB or 1GiB", text)};
}

namespace config {
namespace {

Error expected(const std::string& text, const std::string& what) {
  return {Errc::invalid_argument, fmt::format("\"{}\": expected {}", text, what)};
}

// Bounds in the unit that people read.
Status check(const Key& key, const std::string& text, double value, const std::function<std::string(double)>& show) {
  if (value < key.bounds.min) return expected(text, "at least " + show(key.bounds.min));
  if (value > key.bounds.max) return expected(text, "at most " + show(key.bounds.max));
  return success();
}

std::string show_number(double value) { return fmt::format("{}", value); }
std::string show_time(double value) { return show_unit(static_cast<std::uint64_t>(value), kTimes); }
std::string show_size(double value) { return show_unit(static_cast<std::uint64_t>(value), kSizes); }

Result<Value> read_bool(const std::string& text) {
  if (text == "true") return Value(true);
  if (text == "false") return Value(false);
  return expected(text, "true or false");
}

template <class Integer>
Result<Value> read_integer(const Key& key, const std::string& text) {
  const std::optional<double> value = number(text);
  constexpr double kTop = static_cast<double>(std::numeric_limits<Integer>::max());
  constexpr double kBottom = static_cast<double>(std::numeric_limits<Integer>::min());
  if (!value || *value != std::floor(*value)) return expected(text, "a whole number");
  // The first double above int64's largest value compares equal to it.
  if (*value < kBottom || *value > kTop || (*value == kTop && sizeof(Integer) == 8)) {
    return expected(text, fmt::format("a whole number between {} and {}", std::numeric_limits<Integer>::min(),
                                      std::numeric_limits<Integer>::max()));
  }
  FATHOM_TRY(check(key, text, *value, show_number));
  return Value(static_cast<Integer>(*value));
}

Result<Value> read_real(const Key& key, const std::string& text) {
  const std::optional<double> value = number(text);
  if (!value) return expected(text, "a number");
  FATHOM_TRY(check(key, text, *value, show_number));
  return Value(*value);
}

Result<Value> read_text(const Key& key, const std::string& text) {
  const auto& choices = key.bounds.choices;
  if (choices.empty() || std::find(choices.begin(), choices.end(), text) != choices.end()) return Value(text);
  const std::string near = nearest(text, choices);
  return expected(text, fmt::format("one of {}{}", fmt::join(choices, ", "),
                                    near.empty() ? "" : fmt::format("; did you mean {}?", near)));
}

Result<Value> read_time(const Key& key, const std::string& text) {
  FATHOM_ASSIGN(const Millis value, parse_duration(text));
  FATHOM_TRY(check(key, text, static_cast<double>(value.count()), show_time));
  return Value(value);
}

Result<Value> read_size(const Key& key, const std::string& text) {
  FATHOM_ASSIGN(const Bytes value, parse_bytes(text));
  FATHOM_TRY(check(key, text, static_cast<double>(value.value), show_size));
  return Value(value);
}

// Plain where YAML cannot take it for anything else, so that files read well.
std::string show_text(const std::string& text) {
  const bool plain = !text.empty() && text.find_first_of(":#{}[],&*!|>'\"%@`\\\n\t ") == std::string::npos &&
                     text != "true" && text != "false" && text != "null" && text != "~" && text[0] != '-' &&
                     !number(text);
  if (plain) return text;
  std::string quoted;
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return "\"" + quoted + "\"";
}

}  // namespace

bool is_list(const Key& key) { return std::holds_alternative<std::vector<std::string>*>(key.field); }

Result<Value> read(const Key& key, const std::vector<std::string>& texts, bool quoted) {
  if (is_list(key)) return Value(texts);
  const std::string& text = texts.front();
  if (std::holds_alternative<std::string*>(key.field)) return read_text(key, text);
  // `epochs: "3"` is a text; guessing would hide a mistake.
  if (quoted) return expected(text, "a value without quotes");
  switch (key.field.index()) {
    case 0:
      return read_bool(text);
    case 1:
      return read_integer<std::int64_t>(key, text);
    case 2:
      return read_integer<std::uint32_t>(key, text);
    case 3:
      return read_real(key, text);
    case 6:
      return read_time(key, text);
    default:
      return read_size(key, text);
  }
}

void store(const Key& key, Value value) {
  std::visit([&](auto* field) { *field = std::get<std::remove_pointer_t<decltype(field)>>(std::move(value)); },
             key.field);
}

std::string show(const Key& key) {
  struct Show {
    std::string operator()(const bool* v) const { return *v ? "true" : "false"; }
    std::string operator()(const std::int64_t* v) const { return fmt::format("{}", *v); }
    std::string operator()(const std::uint32_t* v) const { return fmt::format("{}", *v); }
    std::string operator()(const double* v) const { return fmt::format("{}", *v); }
    std::string operator()(const std::string* v) const { return show_text(*v); }
    std::string operator()(const Millis* v) const { return show_time(static_cast<double>(v->count())); }
    std::string operator()(const Bytes* v) const { return show_size(static_cast<double>(v->value)); }
    std::string operator()(const std::vector<std::string>* v) const {
      std::vector<std::string> texts;
      for (const std::string& text : *v) texts.push_back(show_text(text));
      return fmt::format("[{}]", fmt::join(texts, ", "));
    }
  };
  return std::visit(Show{}, key.field);
}

}  // namespace config
}  // namespace fathom
