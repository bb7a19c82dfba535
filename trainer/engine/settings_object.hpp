// One object of a job's settings with its name, for messages such as "settings: train.lr is missing". Reading a key
// checks that it is there, its type and its range. Thread: none shared.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "trainer/engine/errors.hpp"

namespace fathom::trainer {

// Throws JobError config. The value outlives it.
class SettingsObject {
 public:
  using json = nlohmann::json;

  SettingsObject(const json& value, std::string name) : value_(value), name_(std::move(name)) {
    if (!value_.is_object()) refuse("", "must be an object");
  }

  [[noreturn]] void refuse(const std::string& key, const std::string& what) const {
    const std::string dot = name_.empty() || key.empty() ? "" : ".";
    throw JobError(ErrorClass::config, "settings: " + name_ + dot + key + " " + what);
  }

  [[nodiscard]] const json* find(const std::string& key) const {
    const auto found = value_.find(key);
    return found == value_.end() || found->is_null() ? nullptr : &*found;
  }
  [[nodiscard]] const json& at(const std::string& key) const {
    const auto* found = find(key);
    if (!found) refuse(key, "is missing");
    return *found;
  }
  [[nodiscard]] SettingsObject object(const std::string& key) const {
    return {at(key), name_.empty() ? key : name_ + "." + key};
  }

  [[nodiscard]] double number(const std::string& key, double low) const {
    const auto& value = at(key);
    if (!value.is_number()) refuse(key, "must be a number");
    const double number = value.get<double>();
    // JSON has no NaN, but 1e999 parses to infinity.
    if (!std::isfinite(number) || number < low) refuse(key, "must be at least " + json(low).dump());
    return number;
  }
  [[nodiscard]] double number(const std::string& key, double low, double fallback) const {
    return find(key) ? number(key, low) : fallback;
  }
  [[nodiscard]] std::uint32_t count(const std::string& key, double low) const {
    const double value = number(key, low);
    if (value != std::floor(value) || value > 1e9) refuse(key, "must be a whole number");
    return static_cast<std::uint32_t>(value);
  }
  [[nodiscard]] std::uint32_t count(const std::string& key, double low, std::uint32_t fallback) const {
    return find(key) ? count(key, low) : fallback;
  }
  [[nodiscard]] std::string text(const std::string& key) const {
    const auto& value = at(key);
    if (!value.is_string()) refuse(key, "must be a text");
    return value.get<std::string>();
  }
  [[nodiscard]] std::string text(const std::string& key, const std::string& fallback) const {
    return find(key) ? text(key) : fallback;
  }
  // One of a closed list of words.
  [[nodiscard]] std::string word(const std::string& key, const std::string& fallback,
                                 const std::vector<std::string>& words) const {
    const auto value = text(key, fallback);
    std::string all;
    for (const auto& known : words) {
      if (value == known) return value;
      all += (all.empty() ? "" : ", ") + known;
    }
    refuse(key, "is '" + value + "'; this trainer knows " + all);
  }

 private:
  const json& value_;
  std::string name_;
};

}  // namespace fathom::trainer
