// Reading a JSON object of a folder that may be wrong: every getter says which file, which key and what was expected.
// Thread: plain value; refers to the JSON it was made from.
#pragma once

#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/result.hpp"

namespace fathom::trainer::check {

// Ends one case with a sentence; the other cases go on.
class CheckError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <class T>
T value_of(Result<T> result) {
  if (!result) throw CheckError(result.error().message);
  return std::move(result).value();
}

class Fields {
 public:
  // `where`: the file and the place in it, for messages. CheckError when `value` is no object.
  Fields(const nlohmann::json& value, std::string where) : value_(value), where_(std::move(where)) {
    if (!value_.is_object()) fail("must be an object");
  }

  [[noreturn]] void fail(const std::string& what) const { throw CheckError(where_ + ": " + what); }
  // Null when absent or JSON null.
  [[nodiscard]] const nlohmann::json* find(const std::string& key) const {
    const auto found = value_.find(key);
    return found == value_.end() || found->is_null() ? nullptr : &*found;
  }
  [[nodiscard]] const nlohmann::json& at(const std::string& key) const {
    const auto* found = find(key);
    if (!found) fail("\"" + key + "\" is missing");
    return *found;
  }
  [[nodiscard]] std::string text(const std::string& key) const {
    if (!at(key).is_string()) fail("\"" + key + "\" must be a text");
    return at(key).get<std::string>();
  }
  [[nodiscard]] double number(const std::string& key) const { return to_number(at(key), key); }
  [[nodiscard]] double number(const std::string& key, double absent) const { return find(key) ? number(key) : absent; }
  [[nodiscard]] bool flag(const std::string& key, bool absent) const {
    const auto* found = find(key);
    if (found && !found->is_boolean()) fail("\"" + key + "\" must be true or false");
    return found ? found->get<bool>() : absent;
  }
  [[nodiscard]] std::vector<std::string> texts(const std::string& key) const {
    std::vector<std::string> out;
    for (const auto& item : list(key)) {
      if (!item.is_string()) fail("\"" + key + "\" must be a list of texts");
      out.push_back(item.get<std::string>());
    }
    return out;
  }
  [[nodiscard]] std::vector<double> numbers(const std::string& key) const {
    std::vector<double> out;
    for (const auto& item : list(key)) out.push_back(to_number(item, key));
    return out;
  }
  // Whole numbers from 0 on; an absent key is an empty list.
  [[nodiscard]] std::vector<std::int64_t> counts(const std::string& key) const {
    return find(key) ? to_counts(at(key), key) : std::vector<std::int64_t>{};
  }
  [[nodiscard]] std::vector<std::int64_t> to_counts(const nlohmann::json& value, const std::string& key) const {
    const auto wrong = "\"" + key + "\" must be a list of whole numbers";
    if (!value.is_array()) fail(wrong);
    std::vector<std::int64_t> out;
    for (const auto& item : value) {
      if (!item.is_number_unsigned() || item.get<std::uint64_t>() > (1u << 30)) fail(wrong);
      out.push_back(item.get<std::int64_t>());
    }
    return out;
  }
  [[nodiscard]] const nlohmann::json& list(const std::string& key) const {
    if (!at(key).is_array()) fail("\"" + key + "\" must be a list");
    return at(key);
  }
  [[nodiscard]] const nlohmann::json& value() const { return value_; }
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  [[nodiscard]] double to_number(const nlohmann::json& value, const std::string& key) const {
    if (!value.is_number() || !std::isfinite(value.get<double>())) fail("\"" + key + "\" must hold numbers");
    return value.get<double>();
  }
  const nlohmann::json& value_;
  std::string where_;
};

}  // namespace fathom::trainer::check
