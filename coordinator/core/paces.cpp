#include "coordinator/core/paces.hpp"

#include <algorithm>

#include "coordinator/core/event.pb.h"

namespace fathom::core {

Millis Paces::Epochs::median() const {
  std::array<Millis, 64> sorted = times;
  const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(std::min(count, times.size()));
  const auto middle = sorted.begin() + (end - sorted.begin()) / 2;
  std::nth_element(sorted.begin(), middle, end);
  return *middle;
}

Paces::Peers Paces::peers_of(const State& state, const Job& job) {
  const sweeps::Job& planned = state.planned(job);
  return {job.sweep, static_cast<std::uint32_t>(planned.stage), planned.task};
}

void Paces::observe(const State& after, const event::Event& event, TimePoint now) {
  if (event.has_sweep_ended()) {
    const SweepNumber ended(event.sweep_ended().sweep());
    std::erase_if(epochs_, [&](const auto& entry) { return std::get<0>(entry.first) == ended; });
  }
  const Job* job = after.job(JobNumber(event.job()));
  if (job == nullptr) return;
  if (!is_active(phase_of(*job))) {
    marks_.erase(job->number);
    return;
  }
  if (event.has_job_started()) marks_[job->number] = {now, Millis(0), job->progress->epoch};
  if (!event.has_report_recorded()) return;
  const auto mark = marks_.find(job->number);
  // One that was adopted at a start: how long its epoch took so far is not known.
  if (mark == marks_.end()) {
    marks_[job->number] = {now, Millis(0), job->progress->epoch};
    return;
  }
  if (job->progress->epoch == mark->second.epoch) return;  // measured at a rung inside it
  const Millis time = std::chrono::duration_cast<Millis>(now - mark->second.since);
  epochs_[peers_of(after, *job)].add(time);
  mark->second = {now, time, job->progress->epoch};
}

std::optional<Straggler> Paces::straggler(const State& state, const Job& job, TimePoint now) const {
  const auto mark = marks_.find(job.number);
  if (mark == marks_.end()) return std::nullopt;
  const auto peers = epochs_.find(peers_of(state, job));
  if (peers == epochs_.end() || peers->second.count < kPeers) return std::nullopt;
  const Millis present = std::chrono::duration_cast<Millis>(now - mark->second.since);
  const Straggler found{std::max(mark->second.last, present), peers->second.median()};
  if (found.epoch < kLeast || found.epoch < kTimes * found.median) return std::nullopt;
  return found;
}

std::map<JobNumber, Straggler> Paces::stragglers(const State& state, TimePoint now) const {
  std::map<JobNumber, Straggler> all;
  for (const auto& [number, mark] : marks_) {
    if (const auto slow = straggler(state, *state.job(number), now)) all.emplace(number, *slow);
  }
  return all;
}

}  // namespace fathom::core
