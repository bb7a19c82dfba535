// What must hold in a world, from outside: I1-I10 of docs/lifecycle/invariants.md on the state after each step, and the
// history: what workers and people were told against what the log says at the end. Thread: one.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "common/result.hpp"
#include "coordinator/core/event.pb.h"
#include "coordinator/core/state.hpp"

namespace fathom::wire {
class Envelope;
class Item;
}  // namespace fathom::wire

namespace fathom::sim {

class MemoryArtifacts;

class Checker {
 public:
  // ---- while the world runs
  void complain(const std::string& what);
  void restarted();                              // a coordinator reads the log
  void event(const event::Event& event);         // read or decided, in order
  void durable(std::uint64_t seq);               // the store promises everything up to here
  void state(const core::State& state);          // after a step
  void sent(const wire::Envelope& from_worker);  // frames as they leave and arrive
  void arrived(const wire::Envelope& at_worker);
  void submitted(const std::string& sweep, std::uint32_t jobs);         // a person was told so
  void cancelled(JobNumber job, SweepNumber sweep, std::uint64_t seq);  // of the answer; one of the two is 0

  // ---- at the end
  Status record(std::uint64_t seq, const std::string& bytes);  // the whole log in order
  void finish(const core::State& state, const MemoryArtifacts& artifacts);

  [[nodiscard]] const std::vector<std::string>& broken() const { return broken_; }
  [[nodiscard]] std::uint64_t checks() const { return checks_; }
  [[nodiscard]] std::uint64_t events() const { return hashes_.size(); }
  [[nodiscard]] const std::map<std::string, std::uint64_t>& event_kinds() const { return kinds_; }

 private:
  using AttemptKey = std::tuple<std::uint64_t, std::uint32_t, std::uint32_t>;  // job, generation, attempt
  struct Cancel {
    JobNumber job;
    SweepNumber sweep;
    std::uint64_t seq = 0;
  };
  struct Ended {
    std::string how;
    std::uint64_t seq = 0;
  };
  void check_item(const event::Event& event, const event::Fence& fence);
  void check_order(const event::Event& event);
  void check_result(const core::State& state, const core::Job& job);
  void check_known(const event::Event& event);
  std::uint64_t expected_value(const core::State& state, const core::Job& job);

  std::vector<std::string> broken_;
  std::vector<std::uint64_t> hashes_;  // of the events, by seq - 1
  std::uint64_t promised_ = 0;         // how many of them are durable
  std::uint64_t next_ = 1;
  std::uint64_t checks_ = 0;
  std::map<std::string, std::uint64_t> kinds_;

  std::map<std::pair<Fence, std::uint64_t>, std::string> items_;  // sent, by attempt and sequence: their bytes
  std::map<AttemptKey, std::uint64_t> acked_;                     // the highest sequence
  std::map<std::string, std::uint32_t> submitted_;
  std::vector<Cancel> cancels_;

  // Made by record().
  core::State replica_;
  std::map<AttemptKey, std::uint64_t> logged_;
  std::map<std::uint64_t, Ended> ended_;            // by job
  std::map<std::uint64_t, std::uint64_t> granted_;  // by job: seq of the newest lease
  std::map<std::uint64_t, std::pair<std::string, std::vector<event::File>>> results_;  // by job
  std::set<std::pair<std::uint64_t, std::uint32_t>> rungs_;                            // (first job of a setting, rung)
  std::map<std::uint64_t, std::uint64_t> values_;                                      // expected, by job
  std::map<std::uint64_t, std::uint64_t> made_;                                        // job by the key of its result
};

}  // namespace fathom::sim
