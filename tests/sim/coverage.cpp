#include "tests/sim/coverage.hpp"

#include <fmt/format.h>

#include <cctype>

#include "coordinator/core/event.pb.h"
#include "coordinator/core/inspect.hpp"

namespace fathom::sim {

namespace {

// The log's names: REST calls stopping, limiting and cancelling all "stopping".
std::string phase_name(core::Phase phase) {
  std::string name = event::Phase_Name(static_cast<event::Phase>(phase));
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

}  // namespace

void Coverage::hit(const std::string& fault, const core::State* state, const WorkerNumber* worker) {
  Row& row = faults[fault];
  ++row.times;
  if (state == nullptr) return;
  const auto count = [&](const core::Job& job) { ++row.phases[phase_name(core::phase_of(job))]; };
  if (worker != nullptr) {
    const core::Worker* known = state->worker(*worker);
    if (known == nullptr) return;
    for (const LeaseId lease : known->leases) count(*state->job(state->leases.at(lease).fence.job));
    return;
  }
  for (const core::Job* one : core::all_jobs(*state)) {
    const core::Job& job = *one;
    if (!core::is_terminal(core::phase_of(job))) count(job);
  }
}

void Coverage::add(const Coverage& other) {
  for (const auto& [name, row] : other.faults) {
    faults[name].times += row.times;
    for (const auto& [phase, count] : row.phases) faults[name].phases[phase] += count;
  }
  for (const auto& [name, count] : other.events) events[name] += count;
}

std::string Coverage::table() const {
  static constexpr const char* kPhases[] = {"blocked",  "ready",      "leased",  "running", "stopping",
                                            "limiting", "cancelling", "backoff", "pausing", "paused"};
  std::string text = fmt::format("{:<28}{:>8}", "fault", "times");
  for (const char* phase : kPhases) text += fmt::format("{:>11}", phase);
  for (const auto& [name, row] : faults) {
    text += fmt::format("\n{:<28}{:>8}", name, row.times);
    for (const char* phase : kPhases) {
      const auto found = row.phases.find(phase);
      text += fmt::format("{:>11}", found == row.phases.end() ? 0 : found->second);
    }
  }
  text += "\nevents:";
  for (const auto& [name, count] : events) text += fmt::format(" {} {}", name, count);
  return text + "\n";
}

}  // namespace fathom::sim
