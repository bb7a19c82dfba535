// Reading a flat JSON object of settings: typed keys, defaults, and the first problem kept.
#pragma once

#include <cmath>
#include <cstdint>
#include <set>
#include <string>

#include <nlohmann/json.hpp>

#include "common/result.hpp"

namespace fathom::trainer {

// Lives on a reader's stack; refers to `object`. After the first problem, getters return defaults.
class JsonKeys {
 public:
  explicit JsonKeys(const nlohmann::json& object) : object_(object) {}

  // Null when absent or JSON null.
  const nlohmann::json* optional(const std::string& key) {
    seen_.insert(key);
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  const nlohmann::json* required(const std::string& key) {
    const nlohmann::json* value = optional(key);
    if (!value) fail("\"" + key + "\" is missing");
    return value;
  }
  bool flag(const std::string& key, bool absent) {
    const nlohmann::json* value = optional(key);
    if (!value) return absent;
    if (!value->is_boolean()) fail("\"" + key + "\" must be true or false");
    return value->is_boolean() ? value->get<bool>() : absent;
  }
  bool required_flag(const std::string& key) { return required(key) && flag(key, false); }
  double number(const std::string& key, double absent) {
    const nlohmann::json* value = optional(key);
    if (!value) return absent;
    if (!value->is_number()) fail("\"" + key + "\" must be a number");
    return value->is_number() ? value->get<double>() : absent;
  }
  // A whole number from `low` to `high`, spelled with or without a point; `absent` after a problem too.
  std::int64_t count(const std::string& key, std::int64_t absent, std::int64_t low, std::int64_t high) {
    const double value = number(key, static_cast<double>(absent));
    const bool fits = value >= static_cast<double>(low) && value <= static_cast<double>(high);
    if (fits && value == std::floor(value)) return static_cast<std::int64_t>(value);
    fail("\"" + key + "\" must be a whole number from " + std::to_string(low) + " to " + std::to_string(high));
    return absent;
  }
  std::string text(const std::string& key, const std::string& absent) {
    const nlohmann::json* value = optional(key);
    if (!value) return absent;
    if (!value->is_string()) fail("\"" + key + "\" must be a string");
    return value->is_string() ? value->get<std::string>() : absent;
  }

  [[nodiscard]] const nlohmann::json& object() const { return object_; }
  [[nodiscard]] bool seen(const std::string& key) const { return seen_.contains(key); }
  void fail(const std::string& what) { set({Errc::invalid_argument, what}); }
  void unsupported(const std::string& what) { set({Errc::unsupported, what}); }
  // The first problem.
  [[nodiscard]] Status status() const {
    if (error_.message.empty()) return success();
    return error_;
  }

 private:
  void set(Error error) {
    if (error_.message.empty()) error_ = std::move(error);
  }
  const nlohmann::json& object_;
  std::set<std::string> seen_;
  Error error_;
};

}  // namespace fathom::trainer
