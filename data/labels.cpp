#include "data/labels.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <nlohmann/json.hpp>

#include "common/files.hpp"

namespace fathom::data {

using nlohmann::json;

std::optional<std::int32_t> Labels::id(std::string_view name) const {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<std::int32_t>(found - names.begin());
}

Labels labels_of(std::vector<std::string> seen) {
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  return {std::move(seen), false};
}

Result<Labels> read_labels(const std::filesystem::path& path) {
  FATHOM_ASSIGN(const std::string text, read_file(path.string(), 16U << 20));
  const json root = json::parse(text, nullptr, false);
  const Error broken{Errc::corrupt, path.string() + R"(: expected {"labels": ["name", …]} or {"regression": true})"};
  if (root.is_object() && root.value("regression", json(false)) == json(true)) return Labels{{}, true};
  const json list = root.is_object() ? root.value("labels", json()) : root;
  if (!list.is_array() || list.empty()) return broken;
  Labels labels;
  for (const json& name : list) {
    if (!name.is_string() || labels.id(name.get<std::string>())) return broken;
    labels.names.push_back(name.get<std::string>());
  }
  return labels;
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i == 20) return out + ", … (" + std::to_string(names.size()) + " in all)";
    out += (i == 0 ? "" : ", ") + names[i];
  }
  return out;
}

std::optional<double> number_of(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace fathom::data
