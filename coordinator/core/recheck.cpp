#include "coordinator/core/recheck.hpp"

#include <algorithm>

#include "coordinator/core/needs.hpp"

namespace fathom::core {
namespace {

// A conclusion of follow_up() or next_grant(), not somebody's command.
bool is_decision(const event::Event& event) {
  switch (event.payload_case()) {
    case event::Event::kNeedsResolved:
    case event::Event::kNeedsMissing:
    case event::Event::kJobSkipped:
    case event::Event::kRungEntered:
    case event::Event::kLeaseGranted:
    case event::Event::kSweepEnded:
    case event::Event::kPauseWished:
    case event::Event::kJobResumed:
    case event::Event::kPointDrawn:
    case event::Event::kSetChosen:
    case event::Event::kCheckpointTaken:
    case event::Event::kExploited:
      return true;
    case event::Event::kLeaseReleased:
      return event.lease_released().recalled();
    case event::Event::kStopWished:
      return event.stop_wished().cause() == "search";
    case event::Event::kSweepCancelRequested:
      return event.sweep_cancel_requested().again() ||
             event.sweep_cancel_requested().cause().starts_with("limits.failed");
    default:
      return false;
  }
}

// The decision alone, without its place in the log.
event::Event payload_of(event::Event event) {
  event.clear_seq();
  event.clear_wall_ms();
  event.clear_version();
  event.clear_job();
  event.clear_phase();
  return event;
}

std::string text_of(const std::optional<event::Event>& event) {
  return event ? payload_of(*event).ShortDebugString() : std::string();
}

// Not a conclusion of the state alone, since the files came from the log; who was chosen is.
bool chooses_so(const State& state, const event::NeedsBound& bound) {
  const Job* job = state.job(JobNumber(bound.job()));
  if (job == nullptr) return false;
  const auto choice = choose(state, *job);
  const auto* inputs = std::get_if<std::vector<ChosenInput>>(&choice);
  return inputs != nullptr && std::ranges::equal(*inputs, bound.inputs(), [](const ChosenInput& a, const auto& b) {
           return a.job.value() == b.job() && a.mean == b.mean();
         });
}

std::optional<event::Event> decided_again(const State& state, bool grant) {
  auto follow = follow_up(state);
  return follow || !grant ? follow : next_grant(state);
}

}  // namespace

bool Recheck::concerns(const event::Event& event) const {
  if (sweep_.empty()) return true;
  SweepNumber number;
  if (event.has_sweep_ended()) {
    number = SweepNumber(event.sweep_ended().sweep());
  } else if (event.has_sweep_cancel_requested()) {
    number = SweepNumber(event.sweep_cancel_requested().sweep());
  } else if (const Job* job = state_.job(JobNumber(event.job()))) {
    number = job->sweep;
  }
  const Sweep* sweep = state_.sweep(number);
  return sweep != nullptr && sweep->id == sweep_;
}

Status Recheck::take(const event::Event& event, PlanPtr expanded) {
  if (event.has_needs_bound() && !difference_ && concerns(event)) {
    ++decisions_;
    if (!chooses_so(state_, event.needs_bound()))
      difference_ = Difference{event.seq(), payload_of(event).ShortDebugString(), "other inputs"};
  }
  // What an answer from the log led to does not follow from the state alone.
  const bool read = state_.pending.fetch.contains(JobNumber(event.job()));
  if (is_decision(event) && !read && !difference_ && concerns(event)) {
    ++decisions_;
    const auto again =
        decided_again(state_, event.has_lease_granted() || event.has_point_drawn() || event.has_checkpoint_taken());
    const event::Event logged = payload_of(event);
    if (!again || payload_of(*again).SerializeAsString() != logged.SerializeAsString())
      difference_ = Difference{event.seq(), text_of(event), text_of(again)};
  }
  return evolve(state_, event, std::move(expanded));
}

void Recheck::end() {
  if (difference_) return;
  if (const auto due = follow_up(state_)) difference_ = Difference{state_.seq + 1, "", text_of(due)};
}

}  // namespace fathom::core
