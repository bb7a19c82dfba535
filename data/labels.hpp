// Label names and labels.json, the file beside train.tsv that fixes their ids. Thread: free functions without state.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace fathom::data {

// Either names by id, or a regression, which has none.
struct Labels {
  std::vector<std::string> names;
  bool regression = false;
  // The id of `name`; absent when it is not listed.
  [[nodiscard]] std::optional<std::int32_t> id(std::string_view name) const;
};

// Distinct names in code-point order (for UTF-8: byte order).
Labels labels_of(std::vector<std::string> seen);

// {"format": 1, "labels": ["neg", "pos"]}, a bare list of names, or {"format": 1, "regression": true}.
// not_found when there is no such file; corrupt names the file and what is wrong in it.
Result<Labels> read_labels(const std::filesystem::path& path);

// "negative, neutral, positive", cut after twenty, for messages.
std::string listed(const std::vector<std::string>& names);

// A label column's text as a number of a regression: finite, nothing after it.
std::optional<double> number_of(std::string_view text);

}  // namespace fathom::data
