// One map of the file, checked against its section of the schema: typed values with defaults, and where each stood.
// Thread: plain values; the Node outlives the Fields.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "sweeps/schema/values.hpp"

namespace fathom::sweeps {

class Fields {
 public:
  // Reports unknown keys (with the nearest known one), keys that this version refuses or that may not stand in a stage
  // of `kinds`, wrong types and, where it is to be `complete`, missing required keys. A null node is an empty map.
  Fields(Section section, const Node* node, Report& report, unsigned kinds = kAnyKind, bool complete = true);

  [[nodiscard]] bool given(std::string_view key) const { return node(key) != nullptr; }
  // The value as written, or null. Keys of type section and special have only this.
  [[nodiscard]] const Node* node(std::string_view key) const;
  // The typed value: given, else the default, else JSON null. std::out_of_range: the section has no such key.
  [[nodiscard]] const nlohmann::json& value(std::string_view key) const;
  // Given and of the right type.
  [[nodiscard]] bool has(std::string_view key) const { return given(key) && !value(key).is_null(); }
  [[nodiscard]] Mark mark(std::string_view key) const;  // of the value, or of the map where it is absent

  // Given keys only, by their name in a job's settings.
  [[nodiscard]] nlohmann::json settings() const;

 private:
  // What the file says of one key.
  struct Given {
    std::size_t place = 0;  // among the section's keys
    const Node* node = nullptr;
    nlohmann::json value;
    bool typed = false;  // `value` is one
  };
  [[nodiscard]] const Given* find(std::size_t place) const;
  void read(const Key& key, const Node& name, const Node& value, Report& report, unsigned kinds);

  Section section_;
  Mark mark_;
  std::vector<Given> given_;  // each key once; empty: the file has no such map
};

// Every default of a section, by the name in a job's settings.
nlohmann::json defaults_of(Section section);
const char* setting_name(const Key& key);
// "adapter", "fusion or finetune": the stages where a key may stand.
std::string kinds_text(unsigned kinds);

}  // namespace fathom::sweeps
