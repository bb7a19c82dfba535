// Deadlines on the monotonic clock, beside the state and outside the log: when a lease ends unless it is renewed, when
// a wait is over, when a limit is reached. Nothing here survives a restart: restart() gives every lease one full new
// term and takes the rest of each wait from the wall times in the state. Owner: Core, on its strand. Failure: none.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "coordinator/core/types.hpp"

namespace fathom::event {
class Event;
}

namespace fathom::core {

struct State;

// Keys with a deadline each, the earliest first.
template <class Key>
class DeadlineQueue {
 public:
  // Instead of the deadline that the key has, if any.
  void set(Key key, TimePoint at) {
    erase(key);
    at_[key] = at;
    order_.emplace(at, key);
  }
  // Nothing if it has none.
  void erase(Key key) {
    const auto found = at_.find(key);
    if (found == at_.end()) return;
    order_.erase({found->second, key});
    at_.erase(found);
  }
  // The keys whose deadline is not after `now`, earliest first.
  [[nodiscard]] std::vector<Key> due(TimePoint now) const {
    std::vector<Key> keys;
    for (auto it = order_.begin(); it != order_.end() && it->first <= now; ++it) keys.push_back(it->second);
    return keys;
  }
  // The earliest deadline; nullopt: there is none.
  [[nodiscard]] std::optional<TimePoint> next() const {
    if (order_.empty()) return std::nullopt;
    return order_.begin()->first;
  }
  [[nodiscard]] bool contains(Key key) const { return at_.contains(key); }
  void clear() { at_.clear(), order_.clear(); }

 private:
  // The same pairs twice: by key to replace, by time to find what is due.
  std::map<Key, TimePoint> at_;
  std::set<std::pair<TimePoint, Key>> order_;
};

struct Timers {
  DeadlineQueue<LeaseId> leases;       // renewed by heartbeats
  DeadlineQueue<JobNumber> backoffs;   // -> JobReady
  DeadlineQueue<JobNumber> job_walls;  // running attempts of sweeps with limits.job_wall
  DeadlineQueue<SweepNumber> walls;    // open sweeps with limits.wall

  [[nodiscard]] std::optional<TimePoint> next() const;
  // Sets and erases what the event, just applied to `state`, begins and ends. lease: one term.
  void observe(const State& state, const event::Event& event, Millis lease, Now now);
  // After a replay.
  void restart(const State& state, Millis lease, Now now);
};

}  // namespace fathom::core
