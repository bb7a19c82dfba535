// References to secrets, `${env:NAME}`: the one way to use a secret in a file that others may read. Thread: free
// functions without state.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fathom {

// Meant as one, well-formed or not.
inline bool is_reference(std::string_view text) { return text.find("${env:") != std::string_view::npos; }

// NAME of a text that is one reference and nothing else: letters, digits and '_', not a digit first, at most 128.
inline std::optional<std::string> env_name(std::string_view text) {
  constexpr std::string_view kOpen = "${env:";
  if (!text.starts_with(kOpen) || !text.ends_with('}')) return std::nullopt;
  const std::string_view name = text.substr(kOpen.size(), text.size() - kOpen.size() - 1);
  constexpr std::string_view kDigits = "0123456789";
  constexpr std::string_view kAll = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
  if (name.empty() || name.size() > 128 || kDigits.find(name.front()) != std::string_view::npos) return std::nullopt;
  if (name.find_first_not_of(kAll) != std::string_view::npos) return std::nullopt;
  return std::string(name);
}

}  // namespace fathom
