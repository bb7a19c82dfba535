#include "sweeps/schema/values.hpp"

#include <charconv>
#include <cmath>

namespace fathom::sweeps {
namespace {

using nlohmann::json;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string limits_of(const Key& key) {
  const auto text = [](double value) { return number_json(value).dump(); };
  if (std::isfinite(key.low) && std::isfinite(key.high) && key.high < 1e9 && !key.open) {
    return key.low == key.high ? ": " + text(key.low) : " from " + text(key.low) + " to " + text(key.high);
  }
  if (std::isfinite(key.low)) return (key.open ? " above " : " of at least ") + text(key.low);
  return "";
}

bool within(const Key& key, double value) {
  return value <= key.high && (key.open ? value > key.low : value >= key.low);
}

std::optional<json> refuse(const Key& key, const Node& node, const std::string& expected, Report& report) {
  std::string hint_text;
  if (node.is_scalar() && node.quoted && parse_number(node.text)) hint_text = "; leave out the quotes";
  report.error(node.mark, std::string(key.name) + ": expected " + expected + ", found " + describe(node) + hint_text);
  return std::nullopt;
}

std::optional<json> typed_number(const Key& key, const Node& node, Report& report) {
  const bool whole = key.type == Type::integer;
  // Told only when it is refused: samples come here a hundred thousand times.
  const auto refused = [&] {
    return refuse(key, node, (whole ? "a whole number" : "a number") + limits_of(key), report);
  };
  if (!node.is_scalar() || node.quoted) return refused();
  const auto value = parse_number(node.text);
  if (value && key.one_value && *value != key.low) {
    report.error(node.mark, std::string(key.name) + ": " + node.text + " " + kUnavailable + "; expected " +
                                number_json(key.low).dump());
    return std::nullopt;
  }
  if (!value || (whole && *value != std::floor(*value)) || !within(key, *value)) return refused();
  if (key.whole_from_one && *value >= 1 && *value != std::floor(*value)) {
    return refuse(key, node, "a share below 1 or a whole number of steps", report);
  }
  return number_json(*value);
}

std::optional<json> typed_boolean(const Key& key, const Node& node, Report& report) {
  if (node.is_scalar() && !node.quoted && (node.text == "true" || node.text == "false"))
    return json(node.text == "true");
  return refuse(key, node, "true or false", report);
}

// Appends an integer or a range to `out`.
bool add_integers(const Key& key, const Node& node, json& out, Report& report) {
  constexpr std::int64_t kMost = 100'000;
  const auto expected = [&] { return "a whole number" + limits_of(key) + " or a range a..b"; };
  if (!node.is_scalar() || node.quoted) return refuse(key, node, expected(), report).has_value();
  if (const auto value = parse_number(node.text); value && *value == std::floor(*value) && within(key, *value)) {
    out.push_back(number_json(*value));
    return true;
  }
  const auto range = parse_range(node.text);
  if (!range || !within(key, static_cast<double>(range->first)) || !within(key, static_cast<double>(range->second))) {
    return refuse(key, node, expected(), report).has_value();
  }
  const auto [from, to] = *range;
  if (std::abs(to - from) >= kMost) return refuse(key, node, "a range of at most 100000 numbers", report).has_value();
  for (std::int64_t n = from;; n += from <= to ? 1 : -1) {
    out.push_back(n);
    if (n == to) return true;
  }
}

std::optional<json> typed_integers(const Key& key, const Node& node, Report& report) {
  json out = json::array();
  bool fine = true;
  if (node.is_list()) {
    for (const Node& item : node.items) fine = add_integers(key, item, out, report) && fine;
    if (node.items.empty()) return refuse(key, node, "at least one number", report);
  } else {
    fine = add_integers(key, node, out, report);
  }
  if (!fine) return std::nullopt;
  return out;
}

std::optional<json> typed_path(const Key& key, const Node& node, Report& report) {
  if (!node.is_scalar() || node.text.empty()) return refuse(key, node, "a path relative to the data root", report);
  const std::string slashes = "/" + node.text + "/";
  if (node.text.front() == '/' || slashes.find("/../") != std::string::npos ||
      node.text.find('\\') != std::string::npos) {
    return refuse(key, node,
                  "a path below the worker's data root (`fathom up --root DIR` sets the root): relative, without '..'",
                  report);
  }
  return json(node.text);
}

std::optional<json> typed_words(const Key& key, const Node& node, Report& report) {
  const auto texts = texts_of(node, key.name, report);
  if (!texts) return std::nullopt;
  bool fine = true;
  for (std::size_t i = 0; i < texts->size(); ++i) {
    const Mark& at = node.is_list() ? node.items[i].mark : node.mark;
    fine = check_word(key.name, (*texts)[i], key.words, at, report) && fine;
  }
  if (!fine) return std::nullopt;
  return json(*texts);
}

std::optional<json> typed_word(const Key& key, const Node& node, Report& report) {
  const bool scalar = node.is_scalar() || (node.type == Node::Type::null && !node.text.empty());
  if (!scalar) return refuse(key, node, "a word", report);
  // Metric points are named "eval/accuracy"; as a choice of metric that is "accuracy".
  const bool metric = std::string_view(key.name) == "metric" && node.text.rfind("eval/", 0) == 0;
  const std::string word = metric ? node.text.substr(5) : node.text;
  if (!check_word(key.name, word, key.words, node.mark, report)) return std::nullopt;
  return json(word);
}

// "b" of "a|b|!c:why".
bool is_one_of(std::string_view word, std::string_view words) {
  if (word.find('|') != std::string_view::npos) return false;
  while (true) {
    const std::size_t bar = words.find('|');
    if (words.substr(0, bar) == word) return true;
    if (bar == std::string_view::npos) return false;
    words.remove_prefix(bar + 1);
  }
}

}  // namespace

std::optional<double> parse_number(std::string_view text) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  const std::string_view digits = !text.empty() && text.front() == '-' ? text.substr(1) : text;
  if (digits.empty() || !(is_digit(digits.front()) || digits.front() == '.')) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value == 0 ? 0.0 : value;  // no -0: it would be another value of the same job
}

std::optional<std::int64_t> parse_duration(std::string_view text) {
  std::int64_t total = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    std::size_t digits = 0;
    while (digits < text.size() && is_digit(text[digits])) ++digits;
    if (digits == 0 || digits > 9 || digits == text.size()) return std::nullopt;
    const std::int64_t count = *parse_integer(text.substr(0, digits));
    const std::size_t unit = std::string_view("smhd").find(text[digits]);
    constexpr std::int64_t kSeconds[] = {1, 60, 3600, 86400};
    if (unit == std::string_view::npos) return std::nullopt;
    total += count * kSeconds[unit];
    text.remove_prefix(digits + 1);
  }
  return total;
}

std::optional<std::pair<std::int64_t, std::int64_t>> parse_range(std::string_view text) {
  const std::size_t dots = text.find("..");
  if (dots == std::string_view::npos || text.size() > 21) return std::nullopt;
  const auto from = parse_integer(text.substr(0, dots));
  const auto to = parse_integer(text.substr(dots + 2));
  constexpr std::int64_t kMost = 4'294'967'295;
  if (!from || !to || std::abs(*from) > kMost || std::abs(*to) > kMost) return std::nullopt;
  return std::make_pair(*from, *to);
}

json number_json(double value) {
  if (value == std::floor(value) && std::fabs(value) < 9007199254740992.0) {
    return value < 0 ? json(static_cast<std::int64_t>(value)) : json(static_cast<std::uint64_t>(value));
  }
  return value;
}

bool is_name(std::string_view text, bool dots) {
  if (text.empty() || text.size() > 64 || text.front() == '-' || text.front() == '.') return false;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && !is_digit(c) && c != '-' && c != '_' && !(dots && c == '.')) return false;
  }
  return true;
}

bool check_word(const std::string& key, const std::string& word, std::string_view words, const Mark& at,
                Report& report) {
  if (is_one_of(word, words)) return true;
  const std::string wrapped = "|" + std::string(words) + "|";
  if (wrapped.find("|!" + word + "|") != std::string::npos) {
    report.error(at, key + ": '" + word + "' " + kUnavailable);
    return false;
  }
  if (const auto found = wrapped.find("|!" + word + ":"); found != std::string::npos) {
    const auto why = found + word.size() + 2;
    report.error(at, key + ": '" + word + "' " + kUnavailable + wrapped.substr(why, wrapped.find('|', why) - why));
    return false;
  }
  std::string list;
  std::vector<std::string> known;
  for (const std::string& one : split_words(words)) {
    if (wrapped.find("|" + one + "|") == std::string::npos) continue;
    known.push_back(one);
    list += (list.empty() ? "" : ", ") + one;
  }
  report.error(at, key + ": '" + word + "' is not one of " + list + hint(word, known));
  return false;
}

std::optional<std::vector<std::string>> texts_of(const Node& node, const std::string& what, Report& report) {
  const auto is_text = [](const Node& one) {
    return one.is_scalar() || (one.type == Node::Type::null && !one.text.empty());
  };
  if (is_text(node)) return std::vector<std::string>{node.text};
  if (!node.is_list() || node.items.empty()) {
    report.error(node.mark, what + ": expected a word or a list of words, found " + describe(node));
    return std::nullopt;
  }
  std::vector<std::string> out;
  for (const Node& item : node.items) {
    if (is_text(item)) {
      out.push_back(item.text);
    } else {
      report.error(item.mark, what + ": expected a word, found " + describe(item));
    }
  }
  if (out.size() < node.items.size()) return std::nullopt;
  return out;
}

std::optional<json> typed(const Key& key, const Node& node, Report& report) {
  switch (key.type) {
    case Type::integer:
    case Type::number:
      return typed_number(key, node, report);
    case Type::boolean:
      return typed_boolean(key, node, report);
    case Type::word:
      return typed_word(key, node, report);
    case Type::integers:
      return typed_integers(key, node, report);
    case Type::words:
      return typed_words(key, node, report);
    case Type::path:
      return typed_path(key, node, report);
    case Type::texts: {
      const auto texts = texts_of(node, key.name, report);
      return texts ? std::optional<json>(*texts) : std::nullopt;
    }
    case Type::text:
      if (node.is_scalar() || (node.type == Node::Type::null && !node.text.empty())) return json(node.text);
      return refuse(key, node, "a text", report);
    case Type::name:
      if (node.is_scalar() && is_name(node.text, true)) return json(node.text);
      return refuse(key, node, "a name of letters, digits, '-', '_' and '.', at most 64", report);
    case Type::duration:
      if (const auto seconds = node.is_scalar() ? parse_duration(node.text) : std::nullopt) return json(*seconds);
      return refuse(key, node, "a time with its unit, such as 90s, 30m, 6h or 1d", report);
    case Type::section:
    case Type::special:
      break;
  }
  return json(nullptr);
}

}  // namespace fathom::sweeps
