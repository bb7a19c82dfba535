// What a run has met: which faults while jobs were in which states. Thread: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "coordinator/core/state.hpp"

namespace fathom::sim {

struct Coverage {
  // By fault: how often, and how many jobs it met in each phase (of core::Phase, by name).
  struct Row {
    std::uint64_t times = 0;
    std::map<std::string, std::uint64_t> phases;
  };
  std::map<std::string, Row> faults;
  std::map<std::string, std::uint64_t> events;  // kinds of events in the logs

  // `worker`: only jobs that it holds; none: all that have not ended.
  void hit(const std::string& fault, const core::State* state, const WorkerNumber* worker);
  void add(const Coverage& other);
  [[nodiscard]] std::string table() const;
};

}  // namespace fathom::sim
