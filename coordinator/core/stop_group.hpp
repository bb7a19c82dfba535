// The comparison groups of stopping methods: which jobs are judged together, and how far each setting is. Of a large
// sweep all jobs are in one, so that a setting takes little memory. Thread: plain values, owned by State.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "sweeps/search/stopper.hpp"

namespace fathom::core {

// The jobs of one setting, one per seed. It is judged at a rung once all of them have a value there.
struct Setting {
  std::uint32_t from = 0, count = 0;  // where StopGroup has its jobs
  std::uint32_t judged = 0;           // rungs with a verdict
  bool stopped = false;               // the last verdict
  bool waiting = false;               // the method pauses, and the verdict at the last of them is not given yet
};

// Settings by their first job, in its order. Which there are is known with the plan.
class Settings {
 public:
  using Entry = std::pair<sweeps::JobIndex, Setting>;
  using Entries = std::vector<Entry>;

  // After all that are there.
  void add(sweeps::JobIndex first, Setting setting) { entries_.emplace_back(first, setting); }
  // end(): there is none.
  [[nodiscard]] Entries::iterator find(sweeps::JobIndex first);
  [[nodiscard]] Entries::const_iterator find(sweeps::JobIndex first) const;
  // There must be one.
  [[nodiscard]] Setting& at(sweeps::JobIndex first) { return find(first)->second; }
  [[nodiscard]] const Setting& at(sweeps::JobIndex first) const { return find(first)->second; }
  [[nodiscard]] Entries::iterator begin() { return entries_.begin(); }
  [[nodiscard]] Entries::iterator end() { return entries_.end(); }
  [[nodiscard]] Entries::const_iterator begin() const { return entries_.begin(); }
  [[nodiscard]] Entries::const_iterator end() const { return entries_.end(); }

 private:
  Entries entries_;
};

// A setting is named by its first job and judged by the mean of its seeds.
struct StopGroup {
  sweeps::Stopper stopper;
  Settings settings;
  std::vector<sweeps::JobIndex> jobs;  // of all settings, one setting after the other

  // In the order of the plan.
  [[nodiscard]] std::span<const sweeps::JobIndex> jobs_of(const Setting& setting) const {
    return std::span(jobs).subspan(setting.from, setting.count);
  }
  // All jobs of the group, in the order of the plan, and by job the first of its setting: tells the stopper who comes.
  void admit(std::vector<sweeps::JobIndex> all, const std::vector<sweeps::JobIndex>& setting_of);
};
inline constexpr std::uint32_t kNoGroup = 0xffffffff;

}  // namespace fathom::core
