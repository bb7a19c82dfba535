// Scalars get their type from the schema (rule 17): `16` and `16.0` are one value, `1e-4` is a number, `no` is a text.
// Thread: free functions without state.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "sweeps/file/node.hpp"
#include "sweeps/schema/schema.hpp"

namespace fathom::sweeps {

inline constexpr const char* kUnavailable = "is not available in this version";

// A whole text as a finite number; no spaces, no hex, no "nan".
std::optional<double> parse_number(std::string_view text);
// Seconds of "90s", "30m", "6h", "1d", "1h30m".
std::optional<std::int64_t> parse_duration(std::string_view text);
// `a..b` as its two ends; both at most 9 digits.
std::optional<std::pair<std::int64_t, std::int64_t>> parse_range(std::string_view text);
// Whole numbers as JSON integers, so that equal values are equal JSON.
nlohmann::json number_json(double value);
// Letters, digits, '-', '_' (and '.' where `dots`), at most 64, not starting with '-'.
bool is_name(std::string_view text, bool dots);

// The value of a key, or nothing after reporting what was expected.
std::optional<nlohmann::json> typed(const Key& key, const Node& node, Report& report);

// The texts of a scalar or of a list of scalars; reports anything else. `what` names the key in messages.
std::optional<std::vector<std::string>> texts_of(const Node& node, const std::string& what, Report& report);

// One of the words "a|b|!c"; reports others, and words that this version only knows.
bool check_word(const std::string& key, const std::string& word, std::string_view words, const Mark& at,
                Report& report);

}  // namespace fathom::sweeps
