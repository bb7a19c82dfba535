// `exclude` of the stages while jobs are made: what it removes, and which of its conditions remove nothing anywhere.
// Thread: as Builder.
#pragma once

#include <string>
#include <vector>

#include "sweeps/resolve/conditions.hpp"

namespace fathom::sweeps {

class Excludes {
 public:
  // The conditions of the next stage. Of one whose points are drawn while it runs nobody knows yet what they remove.
  void begin(const nlohmann::json& stage);
  // Whether a job with such values is removed. All conditions are tried, for idle().
  bool meets(const ColumnValue& value);
  // Conditions that removed nothing in any stage, as the file may have them: "param.lr: 7".
  [[nodiscard]] std::vector<std::string> idle() const;

 private:
  struct Condition {
    nlohmann::json tests;
    bool met = false;
  };
  std::vector<Condition> conditions_;  // of all stages so far, each once
  std::vector<std::size_t> current_;   // of this stage
};

}  // namespace fathom::sweeps
