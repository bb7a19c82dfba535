// Canonical settings of a job (docs/protocol.md) in little room: the jobs of a sweep differ in few values, so that
// each member is held once, as its canonical text, by all jobs that have it; a member in which they differ is held
// once, too, with gaps for the values. Thread: plain values; what is shared never changes. Failure: none but memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace fathom::sweeps {

class JobSettings {
 public:
  struct Member {
    std::string key;                    // ASCII
    std::string text;                   // canonical JSON of its value, without what fills the gaps
    std::vector<std::uint32_t> gaps{};  // places in `text`, ascending: there each job has a value of its own
  };
  // Sorted by key.
  using Members = std::vector<std::shared_ptr<const Member>>;

  // Empty: jobs of a plan without identities (expander.hpp).
  JobSettings() = default;
  // Of an object that no other job has.
  explicit JobSettings(const nlohmann::json& object);
  // Members without gaps.
  explicit JobSettings(std::shared_ptr<const Members> shared) : shared_(std::move(shared)) {}
  // `values`: canonical JSON for each gap, in the order of members and their gaps.
  JobSettings(std::shared_ptr<const Members> shared, const std::vector<std::string>& values);

  // A member of this job alone; `key` is not among the others.
  void add(std::string_view key, const nlohmann::json& value);

  // The value of one member, null where there is none.
  [[nodiscard]] nlohmann::json member(std::string_view key) const;
  // The whole object as RFC 8785 text: what a job's id hashes and what the trainer is given.
  [[nodiscard]] std::string canonical() const;
  // The same into `out`, whose memory is used again: for who asks for many.
  void canonical(std::string& out) const;
  // The same as a value; made anew by each call.
  [[nodiscard]] nlohmann::json whole() const;

 private:
  std::shared_ptr<const Members> shared_;
  // What this job has: "\tVALUE\n" for each gap, then "KEY\tVALUE\n" for each member, sorted by key. Neither a key nor
  // canonical JSON has these characters. One short text, since there are as many as jobs.
  std::string own_;
};

// Finds equal members again. Used while a plan is made.
class SettingsPool {
 public:
  // The members of `object`, for JobSettings of all jobs of a setting.
  std::shared_ptr<const JobSettings::Members> share(const nlohmann::json& object);

 private:
  std::unordered_map<std::string, std::shared_ptr<const JobSettings::Member>> known_;  // by key and text
};

// The members of `shared` with gaps in one of them, an object: for the values of its keys `gaps` (sorted; it has each).
std::shared_ptr<const JobSettings::Members> with_gaps(const JobSettings::Members& shared, std::string_view key,
                                                      const nlohmann::json& value,
                                                      const std::vector<std::string>& gaps);

}  // namespace fathom::sweeps
