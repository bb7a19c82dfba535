// The sampled parameters of a job by their full name ("train.lr"), in the order of the names. Jobs of a stage have the
// same names mostly, so the names are held once. Thread: plain values; what copies share never changes.
// Failure: none but memory.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace fathom::sweeps {

class JobParameters {
 public:
  using Names = std::vector<std::string>;  // sorted, each once
  // As of a map: `for (const auto& [name, value] : parameters)`.
  class Iterator {
   public:
    using value_type = std::pair<const std::string&, const nlohmann::json&>;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    Iterator(const std::string* name, const nlohmann::json* value) : name_(name), value_(value) {}
    value_type operator*() const { return {*name_, *value_}; }
    Iterator& operator++() { return ++name_, ++value_, *this; }
    Iterator operator++(int) { return {name_++, value_++}; }
    bool operator==(const Iterator&) const = default;

   private:
    const std::string* name_ = nullptr;
    const nlohmann::json* value_ = nullptr;
  };

  JobParameters() = default;
  // Of an object. Shares the names of `like` where they are the same.
  explicit JobParameters(const nlohmann::json& object, const JobParameters& like = {});

  [[nodiscard]] std::size_t size() const { return names_ ? names_->size() : 0; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] Iterator begin() const { return size() == 0 ? Iterator() : Iterator(names_->data(), values_.get()); }
  [[nodiscard]] Iterator end() const {
    return size() == 0 ? Iterator() : Iterator(names_->data() + size(), values_.get() + size());
  }
  // nullptr: there is none. Valid as long as a copy lives.
  [[nodiscard]] const nlohmann::json* find(std::string_view name) const;
  [[nodiscard]] bool contains(std::string_view name) const { return find(name) != nullptr; }
  // Throws std::out_of_range where there is none.
  [[nodiscard]] const nlohmann::json& at(std::string_view name) const;

  // Other jobs keep what they have.
  void set(const std::string& name, nlohmann::json value);
  void erase(std::string_view name);
  void clear() { *this = {}; }

  friend bool operator==(const JobParameters& a, const JobParameters& b);

 private:
  std::shared_ptr<const Names> names_;  // none: empty
  std::shared_ptr<const nlohmann::json[]> values_;
};

template <class Json>
void to_json(Json& out, const JobParameters& parameters) {
  out = Json::object();
  for (const auto& [name, value] : parameters) out[name] = value;
}

}  // namespace fathom::sweeps
