// Canonical settings of a job (docs/protocol.md) in little room: the jobs of a sweep differ in few members, so that
// each member is held once, as its canonical text, by all jobs that have it. Thread: plain values; what is shared never
// changes. Failure: none but memory.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace fathom::sweeps {

class JobSettings {
 public:
  struct Member {
    std::string key;   // ASCII
    std::string text;  // canonical JSON of its value
  };
  // Sorted by key.
  using Members = std::vector<std::shared_ptr<const Member>>;

  // Empty: jobs of a plan without identities (expander.hpp).
  JobSettings() = default;
  // Of an object that no other job has.
  explicit JobSettings(const nlohmann::json& object);
  explicit JobSettings(std::shared_ptr<const Members> shared) : shared_(std::move(shared)) {}

  // A member of this job alone; `key` is not among the others.
  void add(std::string key, const nlohmann::json& value);

  // The value of one member, null where there is none.
  [[nodiscard]] nlohmann::json member(std::string_view key) const;
  // The whole object as RFC 8785 text: what a job's id hashes and what the trainer is given.
  [[nodiscard]] std::string canonical() const;
  // The same as a value; made anew by each call.
  [[nodiscard]] nlohmann::json whole() const;

 private:
  std::shared_ptr<const Members> shared_;
  std::vector<Member> own_;  // sorted by key
};

// Finds equal members again. Used while a plan is made.
class SettingsPool {
 public:
  // The members of `object`, for JobSettings of all jobs of a setting.
  std::shared_ptr<const JobSettings::Members> share(const nlohmann::json& object);

 private:
  std::unordered_map<std::string, std::shared_ptr<const JobSettings::Member>> known_;  // by key and text
};

}  // namespace fathom::sweeps
