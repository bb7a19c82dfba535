// Reference data: a folder of models, saved parts and what another implementation computed with them, laid out as
// docs/reference-data.md says. Lists its cases, runs them with our engine and compares every number with the folder's
// own tolerances. Nothing about names, sizes or seeds is assumed, and nothing outside the folder is read but the models
// that the caller names.
// Thread: one at a time per Checker (it keeps the last base models). Numbers depend on the number of compute threads.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/result.hpp"
#include "trainer/model/base_model.hpp"

namespace fathom::trainer::check {

// base: the bare model's outputs (GROUP/base_expected.safetensors). forward: one pass in eval mode. trajectory: a whole
// training run, step by step.
enum class Kind { base, forward, trajectory };
const char* name_of(Kind kind);

struct Case {
  Kind kind = Kind::forward;
  std::string id;        // GROUP/base_model, GROUP/NAME, GROUP/trajectories/NAME
  std::string group;     // the folder of one base model: "bert"
  nlohmann::json entry;  // of manifest.json
  std::string where;     // the entry's place, for messages
};

enum class Status { passed, failed, skipped };
const char* name_of(Status status);

struct Outcome {
  Status status = Status::failed;
  // The comparison that used most of its tolerance; a failed one if there is any.
  std::string at;        // "logits.alpha", "loss of step 3"
  double error = 0;      // largest absolute difference there
  double tolerance = 0;  // allowed there
  std::string message;   // why it was skipped, or could not be compared
};

class Checker {
 public:
  // `models`: folders of base models that the reference data do not hold, by the group's name or the name in
  // trajectory.json.
  Checker(std::filesystem::path folder, std::map<std::string, std::filesystem::path> models);

  // Every case of manifest.json in its order, then base outputs. Error for a file that is missing, is no JSON or has
  // another form; the text names it.
  [[nodiscard]] Result<std::vector<Case>> cases() const;

  // Never throws: whatever is wrong with one case is its outcome.
  [[nodiscard]] Outcome run(const Case& one);

  // The group's base model: GROUP/base, or one of `models`. Null: it is not here (and no error). CheckError: broken.
  std::shared_ptr<const BaseModel> base(const std::string& group, const std::string& name);
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

 private:
  const std::filesystem::path folder_;
  const std::map<std::string, std::filesystem::path> models_;
  std::map<std::filesystem::path, std::shared_ptr<const BaseModel>> loaded_;
};

}  // namespace fathom::trainer::check
